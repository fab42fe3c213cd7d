// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/bpf"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

// The built-in programs have global functions that take the context, which old kernels
// refuse of an extension.
func TestGlobalFunctionsOfTheContext(t *testing.T) {
	testenv.NeedFreplace(t)
	for _, name := range []string{"acl", "count"} {
		t.Run(name, func(t *testing.T) {
			object, err := bpf.Objects.ReadFile(name + "/" + name + ".o")
			if err != nil {
				t.Fatal(err)
			}
			built := build(t, chaintest.ObjectOf(t, object, name, name, 0), chaintest.Returning("after", 1, uint32(chain.TX)))
			vlan := chaintest.Frame()
			vlan[12], vlan[13] = 0x81, 0x00 // EtherType 802.1Q: one of these functions is called
			if got := chaintest.Run(t, built.Program, vlan); got != uint32(chain.TX) {
				t.Errorf("verdict %d", got)
			}
		})
	}
}
