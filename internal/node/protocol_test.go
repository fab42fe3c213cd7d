// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"testing"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestProtocolsPrintAndParse(t *testing.T) {
	for p := range 256 {
		var parsed Protocol
		if err := parsed.UnmarshalText([]byte(Protocol(p).String())); err != nil || int(parsed) != p {
			t.Errorf("%d prints as %q, which is %d: %v", p, Protocol(p), parsed, err)
		}
	}
	for text, want := range map[string]Protocol{"tcp": 6, "6": 6, "icmpv6": 58, "253": 253} {
		var p Protocol
		if err := p.UnmarshalText([]byte(text)); err != nil || p != want {
			t.Errorf("%q is %d, %v; want %d", text, p, err, want)
		}
	}
	for _, text := range []string{"", "TCP", "256", "-1", "tcp "} {
		if err := new(Protocol).UnmarshalText([]byte(text)); !errors.Is(err, chain.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
