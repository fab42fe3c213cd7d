// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"errors"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Pods leave while GC is at work, so a record may be gone by the time it is read;
// one that is there and broken must not pass for a chain that needs nothing.
func TestGCKeepsWhatRecordsNeed(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("count")...)
	defer p.Remove(t, n)
	key := p.Key(t, config.PodSide)
	gone := chain.Key{Cookie: key.Cookie, Ifindex: key.Ifindex + 1}
	needed, err := state.NeededObjects(n.Node, []chain.Key{gone, key})
	if err != nil || len(needed) != 1 {
		t.Errorf("needed are %v, %v; want the one object of the chain that is there", needed, err)
	}

	nodetest.BreakRecord(t, n, gone)
	if needed, err := state.NeededObjects(n.Node, []chain.Key{gone, key}); !errors.Is(err, record.ErrBroken) {
		t.Errorf("needed are %v, %v; want an ErrBroken", needed, err)
	}
}
