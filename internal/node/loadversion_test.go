// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// loadVersion loads a member for which a version of libxdp's protocol is named, under
// dispatcher auto.
func (p *pod) loadVersion(t *testing.T, n *Node, version chain.LibxdpVersion) error {
	t.Helper()
	l := p.byHand("pass", 50)
	l.Dispatcher, l.LibxdpVersion = chain.DispatcherAuto, version
	_, err := n.Load(t.Context(), l)
	return err
}

// A version that is named for a chain that is linked, or would be, is no wish to pass over.
// One that a network's configuration names holds for those of its chains that are libxdp's,
// and says nothing against others.
func TestLoadOfAVersionForALinkedChain(t *testing.T) {
	testenv.KernelIndependent(t)
	machineOnly(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	if err := p.loadVersion(t, n, chain.LibxdpV3); !errors.Is(err, chain.ErrInvalid) {
		t.Errorf("for a chain that is to be made: %v", err)
	}
	if list, err := inspect.List(n.Node); len(list) != 0 || err != nil {
		t.Errorf("left: %v, %v", list, err)
	}
	p.LibxdpVersion = chain.LibxdpV3
	p.apply(t, n, programs("count")...)
	if err := p.loadVersion(t, n, chain.LibxdpV3); !errors.Is(err, chain.ErrInvalid) {
		t.Errorf("for a chain that runs: %v", err)
	}
	p.check(t, n)
	p.load(t, n, "pass", 50) // names none
	p.check(t, n)
	p.remove(t, n)
	p.unloadAll(t, n)
}

// Where the chain is libxdp's the version need not be said with the dispatcher.
func TestLoadOfAVersionForLibxdpsChain(t *testing.T) {
	testenv.NeedFreplace(t)
	for name, begin := range map[string]func(t *testing.T, n *Node, p *pod){
		"ours":   func(t *testing.T, n *Node, p *pod) { p.load(t, n, "count", 10) },
		"theirs": func(t *testing.T, n *Node, p *pod) { p.tool(t, n).change(t, n, all(), 5, "pass") },
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := Default(), newLibxdpPod(t)
			begin(t, n, p)
			if err := p.loadVersion(t, n, chain.LibxdpV2); err != nil {
				t.Error(err)
			}
			if err := p.loadVersion(t, n, chain.LibxdpV3); err == nil {
				t.Error("a version that the chain does not have was passed over")
			}
			p.deleteVeth(t) // and what the tools have in the chain
			if err := n.Sweep(t.Context(), 16); err != nil {
				t.Error(err)
			}
		})
	}
}
