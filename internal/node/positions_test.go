// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// loadAt loads a built-in pass at each priority, and makes sure that each gets the rank of
// its priority among those before it.
func loadAt(t *testing.T, p *nodetest.Pod, n *node.Node, priorities ...int) []inspect.Member {
	t.Helper()
	taken := prioritiesOf(p.Members(t, n))
	loaded := make([]inspect.Member, len(priorities))
	for i, priority := range priorities {
		taken = append(taken, priority)
		slices.Sort(taken)
		loaded[i] = p.Load(t, n, "pass", priority)
		if want := slices.Index(taken, priority); loaded[i].Position != want {
			t.Errorf("priority %d came to position %d, want %d", priority, loaded[i].Position, want)
		}
	}
	if diff := cmp.Diff(taken, prioritiesOf(p.Members(t, n))); diff != "" {
		t.Error(diff)
	}
	return loaded
}

func prioritiesOf(members []inspect.Member) (list []int) {
	for _, m := range members {
		list = append(list, m.Priority)
	}
	return list
}

var shuffled = []int{500, 100, 800, 300, 900, 200, 700, 400, 600, 50}

func TestPositionsAreTheRanksOfPriorities(t *testing.T) {
	for _, way := range nodetest.ManualWays() {
		t.Run(way.String(), func(t *testing.T) {
			p := way.Pod(t)
			testenv.NoLeaks(t)
			n := node.Default()
			loadAt(t, p, n, 25, 0, 75)
			p.UnloadAll(t, n)
			if !testing.Short() { // TestFillDrainRefill does them
				loadAt(t, p, n, shuffled...)
				p.UnloadAll(t, n)
			}
		})
	}
}

func TestFillDrainRefill(t *testing.T) {
	for _, way := range nodetest.ManualWays() {
		t.Run(way.String(), func(t *testing.T) {
			fill := make([]int, 64)
			for i := range fill {
				fill[i] = 100 * (1 + i)
			}
			if way.Dispatcher == chain.DispatcherLibxdp {
				fill = shuffled
			}
			p := way.Pod(t)
			testenv.NoLeaks(t)
			n := node.Default()
			loadAt(t, p, n, fill...)
			before, onHook := p.Chain(t, n, config.PodSide), p.Attached(t, config.PodSide)
			if _, err := n.Load(t.Context(), p.Manual("pass", 50)); !errors.Is(err, chain.ErrTooManyMembers) {
				t.Errorf("one more: %v", err)
			}
			if diff := cmp.Diff(before, p.Chain(t, n, config.PodSide)); diff != "" || p.Attached(t, config.PodSide) != onHook {
				t.Errorf("one more was refused, and changed the chain: %s", diff)
			}
			p.UnloadAll(t, n)
			again := loadAt(t, p, n, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000)
			nodetest.Unload(t, n, again[3].ID) // 400
			if m := loadAt(t, p, n, 350)[0]; m.Position != 3 {
				t.Errorf("350 in the place of 400 has position %d, want 3", m.Position)
			}
			p.UnloadAll(t, n)
		})
	}
}

func TestTwoInterfacesDoNotTouchEachOther(t *testing.T) {
	testenv.KernelIndependent(t)
	nodetest.MachineOnly(t)
	testenv.NoLeaks(t)
	n, p, q := node.Default(), nodetest.NewPod(t, 0), nodetest.NewPod(t, 0)
	mine, others := loadAt(t, p, n, 20, 10), loadAt(t, q, n, 10, 30)
	before := q.Chain(t, n, config.PodSide)
	nodetest.Unload(t, n, mine[0].ID)
	p.Load(t, n, "drop", 5)
	if diff := cmp.Diff(before, q.Chain(t, n, config.PodSide)); diff != "" {
		t.Errorf("a change of one changed the other: %s", diff)
	}
	// Both with one command.
	nodetest.Unload(t, n, others[0].ID, mine[1].ID, others[1].ID)
	if q.Chain(t, n, config.PodSide) != nil || len(p.Members(t, n)) != 1 {
		t.Errorf("%v and %v are left, want the first's drop", p.Members(t, n), q.Members(t, n))
	}
	p.UnloadAll(t, n)
}

// What is known of a member stays, whatever comes and goes around it.
func TestOthersStayWhatTheyAre(t *testing.T) {
	for _, way := range nodetest.ManualWays() {
		t.Run(way.String(), func(t *testing.T) {
			p := way.Pod(t)
			testenv.NoLeaks(t)
			n := node.Default()
			stays := p.Load(t, n, "count", 50)
			p.Send(t, n, 3)
			check := func(what string, packets uint64) {
				t.Helper()
				members := p.Members(t, n)
				i := slices.IndexFunc(members, func(m inspect.Member) bool { return m.ID == stays.ID })
				if i < 0 {
					t.Fatalf("after %s it is gone", what)
				}
				if diff := cmp.Diff(stays, members[i], cmpopts.IgnoreFields(inspect.Member{}, "Position")); diff != "" {
					t.Errorf("after %s: %s", what, diff)
				}
				if got := counted(t, p, n, members[i]); got != packets {
					t.Errorf("after %s it counts %d packets, want %d", what, got, packets)
				}
			}
			before := p.Load(t, n, "pass", 10)
			check("a load before it", 3)
			p.Load(t, n, "drop", 60)
			check("a load behind it", 3)
			if _, err := n.Replace(t.Context(), before.ID, resolve.Replacement{Entry: "acl"}); err != nil {
				t.Fatal(err)
			}
			check("a replacement before it", 3)
			nodetest.Unload(t, n, before.ID)
			p.Send(t, n, 2)
			check("an unload before it", 5)
			p.UnloadAll(t, n)
		})
	}
}

// counted reads how many packets a built-in count of the pod's chain has seen.
func counted(t *testing.T, p *nodetest.Pod, n *node.Node, m inspect.Member) uint64 {
	t.Helper()
	if m.ProgramID != 0 {
		return nodetest.CountedBy(t, m.ProgramID)
	}
	return nodetest.SumPinned(t, p.Folder(t, n)+"/maps/"+m.Name+"/traffic")
}

func TestIDsAreNeverGivenTwice(t *testing.T) {
	testenv.KernelIndependent(t)
	nodetest.MachineOnly(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	seen := make(map[record.ID]bool)
	for range 5 {
		m := p.Load(t, n, "pass", 1)
		if seen[m.ID] {
			t.Errorf("id %d is given a second time", m.ID)
		}
		seen[m.ID] = true
		p.UnloadAll(t, n)
	}
}
