// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// An operator's members stand beside a pod's, whichever came first, through every verb.
func TestManualBesideAPod(t *testing.T) {
	for _, way := range nodetest.ManualWays() {
		t.Run(way.String(), func(t *testing.T) {
			p := way.Pod(t)
			testenv.NoLeaks(t)
			n := node.Default()
			own := p.Load(t, n, "count", 5)
			p.Apply(t, n, nodetest.Programs("acl", "pass")...)
			p.Check(t, n)
			p.Load(t, n, "drop", 15)
			before := p.Chain(t, n, config.PodSide)
			p.Apply(t, n, nodetest.Programs("acl", "pass")...) // again
			p.Check(t, n)
			if diff := cmp.Diff(before, p.Chain(t, n, config.PodSide)); diff != "" {
				t.Errorf("an ADD that is repeated changes the chain: %s", diff)
			}
			p.WantMembers(t, n, "count acl drop pass")
			if err := n.GC(t.Context(), p.Network, nil, true); err != nil { // takes the pod's
				t.Error(err)
			}
			p.Apply(t, n, nodetest.Programs("acl")...)
			p.Remove(t, n)
			p.WantMembers(t, n, "count drop")
			if m := p.Members(t, n)[0]; m.ID != own.ID || !m.CreatedAt.Equal(own.CreatedAt) {
				t.Errorf("%+v, and was %+v", m, own)
			}
			p.UnloadAll(t, n)
		})
	}
}

// What a pod's annotation asks for keeps its place beside an operator's members.
func TestManualBesideAnAnnotation(t *testing.T) {
	testenv.KernelIndependent(t)
	nodetest.MachineOnly(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	asked := nodetest.At(10, "count")
	asked.Band = &config.Band{Min: 0, Max: 100}
	list := append([]config.Program{asked}, nodetest.Programs("acl")...)
	*list[1].Priority = 5
	p.Apply(t, n, list...)
	p.Load(t, n, "drop", 50)
	p.Apply(t, n, list...)
	p.Check(t, n)
	p.WantMembers(t, n, "acl count drop")
	p.Remove(t, n)
	p.UnloadAll(t, n)
}

// sharedManually is a load whose map all manual members share.
func sharedManually(p *nodetest.Pod) node.Load {
	l := p.Manual("count", 10)
	l.Program.Maps = map[string]config.MapSettings{"traffic": {Scope: config.ScopeNode}}
	return l
}

func TestSharedMapsGoWithTheLastManualMember(t *testing.T) {
	testenv.KernelIndependent(t)
	nodetest.MachineOnly(t)
	testenv.NoLeaks(t)
	n, p, q := node.Default(), nodetest.NewPod(t, 0), nodetest.NewPod(t, 0)
	shared := filepath.Join(n.BPFFS.Root, "xdp-chain/node", state.ManualNetwork, "count:traffic")
	for _, pod := range []*nodetest.Pod{q, p} {
		nodetest.Load(t, n, sharedManually(pod))
	}
	testenv.Send(t, "", p.Host, nodetest.Frame, nodetest.Frame)
	testenv.Send(t, "", q.Host, nodetest.Frame)
	for deadline := time.Now().Add(5 * time.Second); nodetest.SumPinned(t, shared) != 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the map that both share says %d packets, want 3", nodetest.SumPinned(t, shared))
		}
	}
	p.UnloadAll(t, n)
	if _, err := os.Stat(shared); err != nil {
		t.Errorf("one of two has left, and the map: %v", err)
	}
	// The last one goes with its interface.
	q.DeleteVeth(t)
	nodetest.Sweep(t, n)
	if list, err := inspect.List(n.Node); err != nil || len(list) != 0 {
		t.Errorf("left after a sweep: %v, %v", list, err)
	}
}

// A DEL that finds the interface gone takes the operator's members along, and their maps.
func TestDELOfASharedChainWhoseInterfaceIsGone(t *testing.T) {
	testenv.KernelIndependent(t)
	nodetest.MachineOnly(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("pass")...)
	nodetest.Load(t, n, sharedManually(p))
	p.DeleteVeth(t)
	p.Remove(t, n)
}

// The last members of an operator leave a pod's chain alone, and the other way round.
func TestUnloadAllOfAPodsChain(t *testing.T) {
	testenv.KernelIndependent(t)
	nodetest.MachineOnly(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("pass")...)
	place := p.Manual("", 0).Place
	if _, err := n.UnloadAll(t.Context(), place, false); !errors.Is(err, change.ErrOthers) {
		t.Errorf("a pod's own: %v", err)
	}
	if ids, err := n.UnloadAll(t.Context(), place, true); err != nil || len(ids) != 1 {
		t.Errorf("by force: %v, %v", ids, err)
	}
	if err := n.Check(t.Context(), p.Attachment); !errors.Is(err, state.ErrDiffers) {
		t.Errorf("CHECK after it: %v", err)
	}
	if _, err := n.UnloadAll(t.Context(), place, true); !errors.Is(err, state.ErrNoMember) {
		t.Errorf("of none: %v", err)
	}
	p.Remove(t, n)
}

// A record that is lost takes the knowledge of whose members run with it. They go on, and go
// by force alone.
func TestManualOnAChainWhoseRecordIsBroken(t *testing.T) {
	testenv.KernelIndependent(t)
	nodetest.MachineOnly(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Load(t, n, "drop", 10)
	nodetest.BreakRecord(t, n, p.Key(t, config.PodSide))
	before := p.Attached(t, config.PodSide)
	if _, err := n.Load(t.Context(), p.Manual("pass", 20)); !errors.Is(err, netdev.ErrBusy) {
		t.Errorf("a load: %v", err)
	}
	place := p.Manual("", 0).Place
	if _, err := n.UnloadAll(t.Context(), place, false); !errors.Is(err, change.ErrOthers) {
		t.Errorf("an unload: %v", err)
	}
	if after := p.Attached(t, config.PodSide); after != before {
		t.Errorf("it runs %s, and ran %s", after, before)
	}
	if _, err := n.UnloadAll(t.Context(), place, true); err != nil {
		t.Error(err)
	}
	p.WantNothing(t, config.PodSide)
}
