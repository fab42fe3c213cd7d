// SPDX-License-Identifier: Apache-2.0

package config

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/enum/enumtest"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestEnumerationsPrintAndParse(t *testing.T) {
	enumtest.PrintAndParse(t, map[Side]string{PodSide: "pod", HostSide: "host"})
	enumtest.PrintAndParse(t, map[PeerNapi]string{PeerNapiAuto: "auto", PeerNapiOff: "off"})
	enumtest.PrintAndParse(t, map[Scope]string{ScopeDefault: "", ScopeNode: "node"})
}

func TestEnumerationsRefuseWhatTheyDoNotHold(t *testing.T) {
	enumtest.Refuse(t, chain.ErrInvalid, []string{"Pod"}, Side(2))
	enumtest.Refuse(t, chain.ErrInvalid, []string{"cluster"}, Scope(3))
	enumtest.Refuse(t, chain.ErrInvalid, []string{"on"}, PeerNapi(2))
}
