// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// proceeding is a load with other verdicts to proceed on.
func (l Load) proceeding(on ...chain.Action) Load {
	set := chain.ActionSetOf(on...)
	l.Program.ProceedOn = &set
	return l
}

func TestWhoSeesWhat(t *testing.T) {
	const packets = 4
	for _, tt := range []struct {
		name  string
		loads func(p *pod) []Load
		// seen is what each built-in count sees, in running order.
		seen []uint64
	}{
		{"b drops, and c sees nothing", func(p *pod) []Load {
			return []Load{p.byHand("count", 10), p.byHand("drop", 20), p.byHand("count", 30)}
		}, []uint64{packets, 0}},
		{"b proceeds on drop, and c sees all", func(p *pod) []Load {
			return []Load{p.byHand("count", 10), p.byHand("drop", 20).proceeding(chain.Drop), p.byHand("count", 30)}
		}, []uint64{packets, packets}},
		{"a passes and proceeds on drop alone, and b sees nothing", func(p *pod) []Load {
			return []Load{p.byHand("count", 10).proceeding(chain.Drop), p.byHand("count", 20)}
		}, []uint64{packets, 0}},
	} {
		for _, way := range handWays() {
			if testing.Short() && tt.seen[1] == 0 {
				continue // package dispatcher's tests do these with every dispatcher
			}
			t.Run(tt.name+" "+way.String(), func(t *testing.T) {
				p := way.pod(t)
				testenv.NoLeaks(t)
				n := Default()
				for _, l := range slices.Backward(tt.loads(p)) { // not the order that they run in
					if _, err := n.Load(t.Context(), l); err != nil {
						t.Fatal(err)
					}
				}
				p.sendByHand(t, n, packets)
				var got []uint64
				for _, m := range p.running(t, n) {
					if m.Function == "count" {
						got = append(got, p.counted(t, n, m))
					}
				}
				if diff := cmp.Diff(tt.seen, got); diff != "" {
					t.Error(diff)
				}
				p.unloadAll(t, n)
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
	for _, way := range handWays() {
		t.Run(way.String(), func(t *testing.T) {
			p := way.pod(t)
			testenv.NoLeaks(t)
			n := Default()
			p.ContainerID = "" // as the owner cli has none
			loaded := make([]inspect.Member, members)
			for i := range loaded {
				loaded[i] = p.load(t, n, "count", 10*i)
			}
			sent := p.sendUntil(t, func() {
				// The first one stays.
				for left := members; left > 1; left -= wave {
					ids := loaded[left-wave : left]
					if err := n.Unload(t.Context(), false, ids[0].ID, ids[1].ID); err != nil {
						t.Error(err)
					}
				}
			})
			left := p.running(t, n)
			if len(left) != 1 || left[0].ID != loaded[0].ID {
				t.Fatalf("left: %v", left)
			}
			for deadline := time.Now().Add(5 * time.Second); p.counted(t, n, left[0]) < sent && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			if got := p.counted(t, n, left[0]); got != sent {
				t.Errorf("the member that stays counts %d of %d packets", got, sent)
			}
			if way.dispatcher == chain.DispatcherLinked {
				if got := p.entered(t, n); got != sent {
					t.Errorf("the chain counts %d of %d packets", got, sent)
				}
			}
			p.unloadAll(t, n)
		})
	}
}

// sendUntil sends frames to the pod for as long as something takes, and returns how many.
func (p *pod) sendUntil(t *testing.T, during func()) (sent uint64) {
	t.Helper()
	const burst = 16 // less than the veth's ring holds
	done := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		defer close(done)
		during()
	})
	for {
		testenv.Send(t, "", p.host, slices.Repeat([][]byte{frame}, burst)...)
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
