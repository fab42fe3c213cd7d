// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/record"
)

// ManualWays are the ways by which tests of manual members go. In the lab, whose guests are
// slow, that is the one which the machine itself may refuse.
func ManualWays() []Way {
	if testing.Short() {
		return Ways[2:]
	}
	return Ways
}

// MachineOnly spares the lab's guests a test that would tell nothing new there.
func MachineOnly(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("no kernel of the lab is expected to do this otherwise")
	}
}

// Manual is what loads a built-in program into the pod's chain, at a priority.
func (p *Pod) Manual(entry string, priority int) node.Load {
	return node.Load{
		Place: node.Place{NetNS: p.NetNS, Interface: p.Ifname}, Entry: entry, Program: config.Program{Priority: &priority},
		Requested: config.Requested{Dispatcher: p.Dispatcher, Attach: p.Attach}, Metadata: map[string]string{"owner": "net-team"},
	}
}

// Load loads a built-in program into the pod's chain, at a priority.
func (p *Pod) Load(t *testing.T, n *node.Node, entry string, priority int) inspect.Member {
	t.Helper()
	return Load(t, n, p.Manual(entry, priority))
}

// Load loads a program.
func Load(t *testing.T, n *node.Node, l node.Load) inspect.Member {
	t.Helper()
	m, err := n.Load(t.Context(), l)
	if err != nil {
		t.Fatalf("load %s: %v", l.Entry, err)
	}
	return m
}

// Unload unloads manual members.
func Unload(t *testing.T, n *node.Node, ids ...record.ID) {
	t.Helper()
	if err := n.Unload(t.Context(), false, ids...); err != nil {
		t.Fatalf("unload: %v", err)
	}
}

// UnloadAll unloads the manual members of the pod's chain, which are to be all it has.
func (p *Pod) UnloadAll(t *testing.T, n *node.Node) {
	t.Helper()
	if _, err := n.UnloadAll(t.Context(), p.Manual("", 0).Place, false); err != nil {
		t.Fatal(err)
	}
	p.WantNothing(t, config.PodSide)
}
