// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// An operator's members stand beside a pod's, whichever came first, through every verb.
func TestByHandBesideAPod(t *testing.T) {
	for _, way := range handWays() {
		t.Run(way.String(), func(t *testing.T) {
			p := way.pod(t)
			testenv.NoLeaks(t)
			n := Default()
			own := p.load(t, n, "count", 5)
			p.apply(t, n, programs("acl", "pass")...)
			p.check(t, n)
			p.load(t, n, "drop", 15)
			before := p.listed(t, n)
			p.apply(t, n, programs("acl", "pass")...) // again
			p.check(t, n)
			if diff := cmp.Diff(before, p.listed(t, n)); diff != "" {
				t.Errorf("an ADD that is repeated changes the chain: %s", diff)
			}
			if diff := cmp.Diff([]string{"count", "acl", "drop", "pass"}, namesOf(p.running(t, n))); diff != "" {
				t.Error(diff)
			}
			if err := n.GC(t.Context(), p.Network, nil, true); err != nil { // takes the pod's
				t.Error(err)
			}
			p.apply(t, n, programs("acl")...)
			p.remove(t, n)
			if diff := cmp.Diff([]string{"count", "drop"}, namesOf(p.running(t, n))); diff != "" {
				t.Error(diff)
			}
			if m := p.running(t, n)[0]; m.ID != own.ID || !m.CreatedAt.Equal(own.CreatedAt) {
				t.Errorf("%+v, and was %+v", m, own)
			}
			p.unloadAll(t, n)
		})
	}
}

// What a pod's annotation asks for keeps its place beside an operator's members.
func TestByHandBesideAnAnnotation(t *testing.T) {
	testenv.KernelIndependent(t)
	machineOnly(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	asked := programs("count")[0]
	asked.Band = &config.Band{Min: 0, Max: 100}
	list := append([]config.Program{asked}, programs("acl")...)
	*list[1].Priority = 5
	p.apply(t, n, list...)
	p.load(t, n, "drop", 50)
	p.apply(t, n, list...)
	p.check(t, n)
	if diff := cmp.Diff([]string{"acl", "count", "drop"}, namesOf(running(t, n))); diff != "" {
		t.Error(diff)
	}
	p.remove(t, n)
	p.ContainerID = ""
	p.unloadAll(t, n)
}

// sharedByHand is a load whose map all members by hand share.
func (p *pod) sharedByHand() Load {
	l := p.byHand("count", 10)
	l.Program.Maps = map[string]config.MapSettings{"traffic": {Scope: config.ScopeNode}}
	return l
}

func TestSharedMapsGoWithTheLastMemberByHand(t *testing.T) {
	testenv.KernelIndependent(t)
	machineOnly(t)
	testenv.NoLeaks(t)
	n, p, q := Default(), newPod(t, 0), newPod(t, 0)
	shared := filepath.Join(n.BPFFS.Root, "xdp-chain/node", state.ManualNetwork, "count:traffic")
	for _, pod := range []*pod{q, p} {
		if _, err := n.Load(t.Context(), pod.sharedByHand()); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Send(t, "", p.host, frame, frame)
	testenv.Send(t, "", q.host, frame)
	for deadline := time.Now().Add(5 * time.Second); sumPinned(t, shared) != 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the map that both share says %d packets, want 3", sumPinned(t, shared))
		}
	}
	p.unloadAll(t, n)
	if _, err := os.Stat(shared); err != nil {
		t.Errorf("one of two has left, and the map: %v", err)
	}
	// The last one goes with its interface.
	q.deleteVeth(t)
	if err := n.Sweep(t.Context(), 16); err != nil {
		t.Error(err)
	}
	if list, err := inspect.List(n.Node); err != nil || len(list) != 0 {
		t.Errorf("left after a sweep: %v, %v", list, err)
	}
}

// A member whose answers the other end turns out not to take leaves none of its maps. GRO
// that is turned off stands here for a kernel that does not poll by it.
func TestSharedMapsOfAMemberThatIsTakenOffAgain(t *testing.T) {
	testenv.KernelIndependent(t)
	machineOnly(t)
	p := polledPod(t)
	testenv.NoLeaks(t)
	n := Default()
	dir := t.TempDir()
	entry := "name: answers\nobject: " + absolute(t, "testdata/before.o") + "\ntransmits: true\n"
	if err := os.WriteFile(filepath.Join(dir, "answers.yaml"), []byte(entry), 0o600); err != nil {
		t.Fatal(err)
	}
	l := p.byHand("answers", 10)
	var err error
	if l.Catalog, err = catalog.Open(dir); err != nil {
		t.Fatal(err)
	}
	l.Program.Maps = map[string]config.MapSettings{"same": {Scope: config.ScopeNode}}
	if _, err := n.Load(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	p.setGRO(t, config.HostSide, false)
	iface := p.open(t, config.PodSide)
	defer iface.NetNS.Close()
	held, err := change.Lock(t.Context(), n.Node, iface.Key(), iface)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Unlock()
	if left, err := n.BPFFS.Networks(); len(left) != 0 || err != nil {
		t.Errorf("maps are left of %q, %v", left, err)
	}
}

// A DEL that finds the interface gone takes the operator's members along, and their maps.
func TestDELOfASharedChainWhoseInterfaceIsGone(t *testing.T) {
	testenv.KernelIndependent(t)
	machineOnly(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("pass")...)
	if _, err := n.Load(t.Context(), p.sharedByHand()); err != nil {
		t.Fatal(err)
	}
	p.deleteVeth(t)
	p.remove(t, n)
}

// The last members of an operator leave a pod's chain alone, and the other way round.
func TestUnloadAllOfAPodsChain(t *testing.T) {
	testenv.KernelIndependent(t)
	machineOnly(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("pass")...)
	place := p.byHand("", 0).Place
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
	p.remove(t, n)
}

// A record that is lost takes the knowledge of whose members run with it. They go on, and go
// by force alone.
func TestByHandOnAChainWhoseRecordIsBroken(t *testing.T) {
	testenv.KernelIndependent(t)
	machineOnly(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.load(t, n, "drop", 10)
	file := filepath.Join(n.Records.Root, "chains", p.listed(t, n).Key.String()+".json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(filepath.Join(n.Records.Root, "broken")) })
	before := p.attached(t, config.PodSide)
	if _, err := n.Load(t.Context(), p.byHand("pass", 20)); !errors.Is(err, netdev.ErrBusy) {
		t.Errorf("a load: %v", err)
	}
	place := p.byHand("", 0).Place
	if _, err := n.UnloadAll(t.Context(), place, false); !errors.Is(err, change.ErrOthers) {
		t.Errorf("an unload: %v", err)
	}
	if after := p.attached(t, config.PodSide); after != before {
		t.Errorf("it runs %s, and ran %s", after, before)
	}
	if _, err := n.UnloadAll(t.Context(), place, true); err != nil {
		t.Error(err)
	}
	if a := p.attached(t, config.PodSide); a.ProgramID != 0 {
		t.Errorf("the interface carries %s", a)
	}
}
