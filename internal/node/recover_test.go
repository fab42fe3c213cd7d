// SPDX-License-Identifier: Apache-2.0

package node

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// step is how far a change gets before its process dies.
type step int

const (
	diesAfterIndex step = iota
	diesAfterRecord
	diesAfterStage
	diesAfterSwap
	diesAfterCommitSaved
	steps
)

// changeUntil does what Apply does to the pod's side, up to a step, and leaves
// everything as a killed process would: files and pins as they are, its lock free.
func (p *pod) changeUntil(t *testing.T, n *Node, until step, list []config.Program) {
	t.Helper()
	fatal := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a := p.Attachment
	a.Programs = list
	s, err := openSites(&a, a.sides())
	fatal(err)
	defer s.close()
	wants, err := resolveSides(newResolver(nil), &a, s, a.sides())
	fatal(err)
	for _, w := range wants[config.PodSide] {
		fatal(n.Store.Put(w.object))
	}
	fatal(n.BPFFS.Ensure())
	fatal(n.Records.SaveAttachment(record.Attachment{
		Network: a.Network, ContainerID: a.ContainerID, Ifname: a.Ifname, Keys: []chain.Key{s.pod.Key()},
	}))
	if until == diesAfterIndex {
		return
	}
	tn, err := n.hold(t.Context(), s.pod.Key(), s.pod)
	fatal(err)
	defer tn.release()
	if tn.rec == nil {
		tn.rec = &record.Record{Version: record.Version, Key: s.pod.Key(), Interface: s.pod.Name, NetNS: a.NetNS, Side: config.PodSide}
	}
	plan, err := tn.planWith(&a, wants[config.PodSide])
	fatal(err)
	found, err := n.findLibxdp(tn.rec, tn.iface)
	fatal(err)
	defer found.close()
	c, err := tn.chooseFor(plan.requested, found)
	fatal(err)
	next, err := tn.next(plan, c, found)
	fatal(err)
	given, err := tn.givenMaps(t.Context(), plan)
	fatal(err)
	defer given.close()
	built, err := tn.build(t.Context(), plan, c, next, given, found)
	fatal(err)
	defer built.Close()
	fatal(tn.describe(built, next))
	tn.rec.Pending = next
	fatal(n.Records.Save(tn.lock, tn.rec))
	if until == diesAfterRecord {
		return
	}
	if until == diesAfterStage {
		fatal(tn.lock.Stage(next.Generation, built.Counters, built.Maps, ownLinks(built, next)))
		return
	}
	fatal(tn.stageAndSwap(t.Context(), built, next, found))
	if until == diesAfterSwap {
		return
	}
	base, err := tn.retireCounts(next)
	fatal(err)
	tn.rec.Base, tn.rec.State, tn.rec.Pending = base, next, nil
	fatal(n.Records.Save(tn.lock, tn.rec))
}

func TestDiesInTheFirstADD(t *testing.T) {
	n := Default()
	finishes := []struct {
		name string
		then func(t *testing.T, p *pod)
	}{
		{"DEL", func(*testing.T, *pod) {}},
		{"ADD and DEL", func(t *testing.T, p *pod) {
			p.apply(t, n, programs("count", "drop")...)
			if err := n.Check(t.Context(), p.Attachment); err != nil {
				t.Error(err)
			}
			p.send(t, n, 1)
		}},
		{"sweep and DEL", func(t *testing.T, _ *pod) {
			if err := n.Sweep(t.Context(), 16); err != nil {
				t.Error(err)
			}
		}},
	}
	for until := range steps {
		for i, w := range ways {
			for j, finish := range finishes {
				if testing.Short() && (int(until)+i+j)%len(finishes) != 0 { // they take turns
					continue
				}
				t.Run(w.String()+" "+finish.name, func(t *testing.T) {
					testenv.NoLeaks(t)
					p := w.pod(t)
					p.changeUntil(t, n, until, programs("count", "drop"))
					finish.then(t, p)
					p.remove(t, n)
					if a := p.attached(t, config.PodSide); a.ProgramID != 0 {
						t.Errorf("dies after step %d, by %s: still carries %s", until, w, a)
					}
				})
			}
		}
	}
}

func TestDiesInAChange(t *testing.T) {
	n := Default()
	for until := diesAfterRecord; until < steps; until++ {
		for i, w := range ways {
			t.Run(w.String(), func(t *testing.T) {
				testenv.ShardByKernel(t, int(until)+i)
				testenv.NoLeaks(t)
				p := w.pod(t)
				p.apply(t, n, programs("count", "pass")...)
				p.send(t, n, 3)
				p.changeUntil(t, n, until, programs("count", "drop"))

				p.Programs = programs("count", "pass")
				if until >= diesAfterSwap {
					p.Programs = programs("count", "drop")
				}
				if err := n.Check(t.Context(), p.Attachment); err != nil {
					t.Errorf("dies after step %d: neither the old chain nor the new one: %v", until, err)
				}
				p.send(t, n, 2)
				want := []chain.Count{{Member: "(end)", Verdict: chain.VerdictPass, Packets: 5}}
				if until >= diesAfterSwap {
					want = []chain.Count{
						{Member: "drop", Verdict: chain.VerdictDrop, Packets: 2},
						{Member: "(end)", Verdict: chain.VerdictPass, Packets: 3},
					}
				}
				if diff := cmp.Diff(w.counts(want), p.rows(t, n, config.PodSide)); diff != "" {
					t.Errorf("dies after step %d: %s", until, diff)
				}
				if got := p.countedIPv4(t, n); got != 5 {
					t.Errorf("dies after step %d: count's own map says %d packets, want 5", until, got)
				}
				p.remove(t, n)
			})
		}
	}
}

// A second ADD that fails leaves nothing either, though a killed one has been
// there before it.
func TestDiesInTheFirstADDAndTheSecondFails(t *testing.T) {
	n := Default()
	for until := range diesAfterSwap {
		t.Run("", func(t *testing.T) {
			testenv.NoLeaks(t)
			p := newPod(t, 0)
			p.changeUntil(t, n, until, programs("count", "drop"))
			p.occupy(t, config.HostSide)
			p.Programs = bothSides()
			if err := n.Apply(t.Context(), p.Attachment); err == nil {
				t.Error("no error though the host's side is busy")
			}
		})
	}
}
