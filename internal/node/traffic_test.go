// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Loads and unloads in a row lose no packet, and neither files nor pins become more.
// integration/bench does a thousand, and looks at memory, too.
func TestManyLoadsAndUnloads(t *testing.T) {
	nodetest.MachineOnly(t)
	const rounds = 100
	for _, way := range nodetest.Ways[:2] { // libxdp's counts nothing
		t.Run(way.String(), func(t *testing.T) {
			p := way.Pod(t)
			testenv.NoLeaks(t)
			n := node.Default()
			p.Load(t, n, "drop", 90)
			churn := func() {
				m := p.Load(t, n, "count", 10)
				nodetest.Unload(t, n, m.ID)
			}
			churn()
			before := files(t, n)
			sent := sendUntil(t, p, func() {
				for range rounds {
					churn()
				}
			})
			p.WantEntered(t, n, sent)
			p.WantRows(t, n, []chain.Count{{Member: "drop", Verdict: chain.VerdictDrop, Packets: sent}})
			if diff := cmp.Diff(before, files(t, n)); diff != "" {
				t.Errorf("files: %s", diff)
			}
			p.UnloadAll(t, n)
		})
	}
}

// files are how many there are: those that the test has open, pins, and records.
func files(t *testing.T, n *node.Node) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for _, root := range []string{"/proc/self/fd", n.BPFFS.Root, n.Records.Root} {
		err := filepath.WalkDir(root, func(string, os.DirEntry, error) error {
			counts[root]++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return counts
}

// No packet gets past the chain while a member of it is replaced again and again.
func TestReplaceUnderTraffic(t *testing.T) {
	nodetest.MachineOnly(t)
	for _, way := range nodetest.Ways[:2] { // libxdp's counts nothing
		t.Run(way.String(), func(t *testing.T) {
			p := way.Pod(t)
			testenv.NoLeaks(t)
			n := node.Default()
			m := loadBefore(t, p, n)
			p.Load(t, n, "drop", 30)
			sent := sendUntil(t, p, func() {
				for i := range 6 {
					object := nodetest.Testdata(t, []string{"after.o", "before.o"}[i%2])
					if _, err := n.Replace(t.Context(), m.ID, resolve.Replacement{Object: object}); err != nil {
						t.Error(err)
					}
				}
			})
			p.WantEntered(t, n, sent)
			p.WantRows(t, n, []chain.Count{{Member: "drop", Verdict: chain.VerdictDrop, Packets: sent}})
			if got := first(t, p, n, "same"); got != 2*sent {
				t.Errorf("the map that was kept says %d, want %d", got, 2*sent)
			}
			p.UnloadAll(t, n)
		})
	}
}

// proceeding is a load with other verdicts to proceed on.
func proceeding(l node.Load, on ...chain.Action) node.Load {
	set := chain.ActionSetOf(on...)
	l.Program.ProceedOn = &set
	return l
}

func TestWhoSeesWhat(t *testing.T) {
	const packets = 4
	for _, tt := range []struct {
		name  string
		loads func(p *nodetest.Pod) []node.Load
		// seen is what each built-in count sees, in running order.
		seen []uint64
	}{
		{"b drops, and c sees nothing", func(p *nodetest.Pod) []node.Load {
			return []node.Load{p.Manual("count", 10), p.Manual("drop", 20), p.Manual("count", 30)}
		}, []uint64{packets, 0}},
		{"b proceeds on drop, and c sees all", func(p *nodetest.Pod) []node.Load {
			return []node.Load{p.Manual("count", 10), proceeding(p.Manual("drop", 20), chain.Drop), p.Manual("count", 30)}
		}, []uint64{packets, packets}},
		{"a passes and proceeds on drop alone, and b sees nothing", func(p *nodetest.Pod) []node.Load {
			return []node.Load{proceeding(p.Manual("count", 10), chain.Drop), p.Manual("count", 20)}
		}, []uint64{packets, 0}},
	} {
		for _, way := range nodetest.ManualWays() {
			if testing.Short() && tt.seen[1] == 0 {
				continue // package dispatcher's tests do these with every dispatcher
			}
			t.Run(tt.name+" "+way.String(), func(t *testing.T) {
				p := way.Pod(t)
				testenv.NoLeaks(t)
				n := node.Default()
				for _, l := range slices.Backward(tt.loads(p)) { // not the order that they run in
					nodetest.Load(t, n, l)
				}
				p.Send(t, n, packets)
				var got []uint64
				for _, m := range p.Members(t, n) {
					if m.Function == "count" {
						got = append(got, counted(t, p, n, m))
					}
				}
				if diff := cmp.Diff(tt.seen, got); diff != "" {
					t.Error(diff)
				}
				p.UnloadAll(t, n)
			})
		}
	}
}

// Members leave in waves while packets come: who stays has seen each packet once.
func TestUnloadingInWavesUnderTraffic(t *testing.T) {
	members, wave := 7, 2
	if testing.Short() {
		members = 5
	}
	for _, way := range nodetest.ManualWays() {
		t.Run(way.String(), func(t *testing.T) {
			p := way.Pod(t)
			testenv.NoLeaks(t)
			n := node.Default()
			loaded := make([]inspect.Member, members)
			for i := range loaded {
				loaded[i] = p.Load(t, n, "count", 10*i)
			}
			sent := sendUntil(t, p, func() {
				// The first one stays.
				for left := members; left > 1; left -= wave {
					ids := loaded[left-wave : left]
					if err := n.Unload(t.Context(), false, ids[0].ID, ids[1].ID); err != nil {
						t.Error(err)
					}
				}
			})
			left := p.Members(t, n)
			if len(left) != 1 || left[0].ID != loaded[0].ID {
				t.Fatalf("left: %v", left)
			}
			for deadline := time.Now().Add(5 * time.Second); counted(t, p, n, left[0]) < sent && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			if got := counted(t, p, n, left[0]); got != sent {
				t.Errorf("the member that stays counts %d of %d packets", got, sent)
			}
			if way.Dispatcher == chain.DispatcherLinked {
				if got := p.Entered(t, n); got != sent {
					t.Errorf("the chain counts %d of %d packets", got, sent)
				}
			}
			p.UnloadAll(t, n)
		})
	}
}

// sendUntil sends frames to the pod for as long as something takes, and returns how many.
func sendUntil(t *testing.T, p *nodetest.Pod, during func()) (sent uint64) {
	t.Helper()
	const burst = 16 // less than the veth's ring holds
	done := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		defer close(done)
		during()
	})
	for {
		testenv.Send(t, "", p.Host, slices.Repeat([][]byte{nodetest.Frame}, burst)...)
		sent += burst
		select {
		case <-done:
			busy.Wait()
			return sent
		default:
			time.Sleep(100 * time.Microsecond)
		}
	}
}
