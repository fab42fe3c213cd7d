// SPDX-License-Identifier: Apache-2.0

package flowstats

import (
	"errors"
	"testing"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestProtocolsPrintAndParse(t *testing.T) {
	for p := range 256 {
		var parsed IPProtocol
		if err := parsed.UnmarshalText([]byte(IPProtocol(p).String())); err != nil || int(parsed) != p {
			t.Errorf("%d prints as %q, which is %d: %v", p, IPProtocol(p), parsed, err)
		}
	}
	for text, want := range map[string]IPProtocol{"tcp": 6, "6": 6, "icmpv6": 58, "253": 253} {
		var p IPProtocol
		if err := p.UnmarshalText([]byte(text)); err != nil || p != want {
			t.Errorf("%q is %d, %v; want %d", text, p, err, want)
		}
	}
	for _, text := range []string{"", "TCP", "256", "-1", "tcp "} {
		if err := new(IPProtocol).UnmarshalText([]byte(text)); !errors.Is(err, chain.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
