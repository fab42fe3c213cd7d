// SPDX-License-Identifier: Apache-2.0

package change_test

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// Only a linked chain is one program, whose maps all take what it takes.
func TestFlipsFrags(t *testing.T) {
	for _, tt := range []struct {
		dispatcher chain.Dispatcher
		was, will  bool
		want       bool
	}{
		{chain.DispatcherLinked, true, true, false},
		{chain.DispatcherLinked, true, false, true},
		{chain.DispatcherLinked, false, true, true},
		{chain.DispatcherLibxdp, true, false, false},
	} {
		recorded := record.State{Dispatcher: tt.dispatcher, Frags: tt.was, Members: make([]record.Member, 1)}
		if got := change.FlipsFrags(&recorded, resolve.Member{Program: &object.Program{Frags: tt.will}}); got != tt.want {
			t.Errorf("%s, from %t to %t: %t", tt.dispatcher, tt.was, tt.will, got)
		}
	}
}
