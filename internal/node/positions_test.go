// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// loadAt loads a built-in pass at each priority, and makes sure that each gets the rank of
// its priority among those before it.
func (p *pod) loadAt(t *testing.T, n *Node, priorities ...int) []inspect.Member {
	t.Helper()
	taken := prioritiesOf(p.running(t, n))
	loaded := make([]inspect.Member, len(priorities))
	for i, priority := range priorities {
		taken = append(taken, priority)
		slices.Sort(taken)
		loaded[i] = p.load(t, n, "pass", priority)
		if want := slices.Index(taken, priority); loaded[i].Position != want {
			t.Errorf("priority %d came to position %d, want %d", priority, loaded[i].Position, want)
		}
	}
	if diff := cmp.Diff(taken, prioritiesOf(p.running(t, n))); diff != "" {
		t.Error(diff)
	}
	return loaded
}

// running are the members of the pod's chain by hand, in running order.
func (p *pod) running(t *testing.T, n *Node) []inspect.Member {
	t.Helper()
	if c := p.listed(t, n); c != nil {
		return c.Members
	}
	return nil
}

func prioritiesOf(members []inspect.Member) (list []int) {
	for _, m := range members {
		list = append(list, m.Priority)
	}
	return list
}

func (p *pod) unloadAll(t *testing.T, n *Node) {
	t.Helper()
	if _, err := n.UnloadAll(t.Context(), p.byHand("", 0).Place, false); err != nil {
		t.Fatal(err)
	}
	if a := p.attached(t, config.PodSide); a.ProgramID != 0 {
		t.Errorf("with all members gone the interface carries %s", a)
	}
}

var shuffled = []int{500, 100, 800, 300, 900, 200, 700, 400, 600, 50}

func TestPositionsAreTheRanksOfPriorities(t *testing.T) {
	for _, way := range handWays() {
		t.Run(way.String(), func(t *testing.T) {
			p := way.pod(t)
			testenv.NoLeaks(t)
			n := Default()
			p.loadAt(t, n, 25, 0, 75)
			p.unloadAll(t, n)
			if !testing.Short() { // TestFillDrainRefill does them
				p.loadAt(t, n, shuffled...)
				p.unloadAll(t, n)
			}
		})
	}
}

func TestFillDrainRefill(t *testing.T) {
	for _, way := range handWays() {
		t.Run(way.String(), func(t *testing.T) {
			fill := make([]int, 64)
			for i := range fill {
				fill[i] = 100 * (1 + i)
			}
			if way.dispatcher == chain.DispatcherLibxdp {
				fill = shuffled
			}
			p := way.pod(t)
			testenv.NoLeaks(t)
			n := Default()
			p.loadAt(t, n, fill...)
			before, onHook := p.listed(t, n), p.attached(t, config.PodSide)
			if _, err := n.Load(t.Context(), p.byHand("pass", 50)); !errors.Is(err, chain.ErrTooManyMembers) {
				t.Errorf("one more: %v", err)
			}
			if diff := cmp.Diff(before, p.listed(t, n)); diff != "" || p.attached(t, config.PodSide) != onHook {
				t.Errorf("one more was refused, and changed the chain: %s", diff)
			}
			p.unloadAll(t, n)
			again := p.loadAt(t, n, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000)
			if err := n.Unload(t.Context(), false, again[3].ID); err != nil { // 400
				t.Fatal(err)
			}
			if m := p.loadAt(t, n, 350)[0]; m.Position != 3 {
				t.Errorf("350 in the place of 400 has position %d, want 3", m.Position)
			}
			p.unloadAll(t, n)
		})
	}
}

func TestTwoInterfacesDoNotTouchEachOther(t *testing.T) {
	testenv.KernelIndependent(t)
	machineOnly(t)
	testenv.NoLeaks(t)
	n, p, q := Default(), newPod(t, 0), newPod(t, 0)
	mine, others := p.loadAt(t, n, 20, 10), q.loadAt(t, n, 10, 30)
	before := q.listed(t, n)
	if err := n.Unload(t.Context(), false, mine[0].ID); err != nil {
		t.Fatal(err)
	}
	p.load(t, n, "drop", 5)
	if diff := cmp.Diff(before, q.listed(t, n)); diff != "" {
		t.Errorf("a change of one changed the other: %s", diff)
	}
	// Both with one command.
	if err := n.Unload(t.Context(), false, others[0].ID, mine[1].ID, others[1].ID); err != nil {
		t.Fatal(err)
	}
	if q.listed(t, n) != nil || len(p.running(t, n)) != 1 {
		t.Errorf("%v and %v are left, want the first's drop", p.running(t, n), q.running(t, n))
	}
	p.unloadAll(t, n)
}

// What is known of a member stays, whatever comes and goes around it.
func TestOthersStayWhatTheyAre(t *testing.T) {
	for _, way := range handWays() {
		t.Run(way.String(), func(t *testing.T) {
			p := way.pod(t)
			testenv.NoLeaks(t)
			n := Default()
			stays := p.load(t, n, "count", 50)
			p.sendByHand(t, n, 3)
			check := func(what string, packets uint64) {
				t.Helper()
				members := p.running(t, n)
				i := slices.IndexFunc(members, func(m inspect.Member) bool { return m.ID == stays.ID })
				if i < 0 {
					t.Fatalf("after %s it is gone", what)
				}
				if diff := cmp.Diff(stays, members[i], cmpopts.IgnoreFields(inspect.Member{}, "Position")); diff != "" {
					t.Errorf("after %s: %s", what, diff)
				}
				if got := p.counted(t, n, members[i]); got != packets {
					t.Errorf("after %s it counts %d packets, want %d", what, got, packets)
				}
			}
			before := p.load(t, n, "pass", 10)
			check("a load before it", 3)
			p.load(t, n, "drop", 60)
			check("a load behind it", 3)
			if _, err := n.Replace(t.Context(), before.ID, resolve.Replacement{Entry: "acl"}); err != nil {
				t.Fatal(err)
			}
			check("a replacement before it", 3)
			if err := n.Unload(t.Context(), false, before.ID); err != nil {
				t.Fatal(err)
			}
			p.sendByHand(t, n, 2)
			check("an unload before it", 5)
			p.unloadAll(t, n)
		})
	}
}

// counted reads how many packets a built-in count of the pod's chain has seen.
func (p *pod) counted(t *testing.T, n *Node, m inspect.Member) uint64 {
	t.Helper()
	if m.ProgramID != 0 {
		return countedBy(t, m.ProgramID)
	}
	return sumPinned(t, n.BPFFS.Root+"/xdp-chain/chains/"+p.listed(t, n).Key.String()+"/maps/"+m.Name+"/traffic")
}

func TestIDsAreNeverGivenTwice(t *testing.T) {
	testenv.KernelIndependent(t)
	machineOnly(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	seen := make(map[record.ID]bool)
	for range 5 {
		m := p.load(t, n, "pass", 1)
		if seen[m.ID] {
			t.Errorf("id %d is given a second time", m.ID)
		}
		seen[m.ID] = true
		p.unloadAll(t, n)
	}
}
