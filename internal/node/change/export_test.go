// SPDX-License-Identifier: Apache-2.0

package change

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/membermaps"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/record"
)

// Step is how far a change gets before its process dies.
type Step int

// The steps, of which the first is not for [LockedChain.ChangeUntil]: it comes before the lock.
const (
	DiesAfterIndex Step = iota
	DiesAfterRecord
	DiesAfterStage
	DiesAfterSwap
	DiesAfterCommitSaved
	Steps
)

// ChangeUntil does what SetMembers does to the pod's side, up to a step, and leaves everything
// as a killed process would: files and pins as they are. Its lock is the caller's to free.
func (lc *LockedChain) ChangeUntil(t *testing.T, a *resolve.Attachment, want []resolve.Member, until Step) {
	t.Helper()
	fatal := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if lc.rec == nil {
		lc.rec = &record.Record{Version: record.Version, Key: lc.iface.Key(), Interface: lc.iface.Name, NetNS: a.NetNS, Side: config.PodSide}
	}
	plan, err := lc.planWith(a, want)
	fatal(err)
	found, err := lc.node.FindLibxdp(lc.rec, lc.iface)
	fatal(err)
	defer found.Close()
	c, err := lc.chooseFor(plan.requested, found)
	fatal(err)
	next, err := lc.next(plan, c, found)
	fatal(err)
	given, err := membermaps.Open(t.Context(), lc.node, lc.lock, lc.state(), plan.members, lc.flipsFrags(&plan))
	fatal(err)
	defer given.Close()
	built, err := lc.build(t.Context(), plan, c, next, given, found)
	fatal(err)
	defer built.Close()
	fatal(lc.describe(built, next))
	lc.rec.Pending = next
	fatal(lc.node.Records.Save(lc.lock, lc.rec))
	if until == DiesAfterRecord {
		return
	}
	if until == DiesAfterStage {
		fatal(lc.lock.Stage(next.Generation, built.Counters, built.Maps, ownLinks(built, next)))
		return
	}
	fatal(lc.stageAndSwap(t.Context(), built, next, found))
	if until == DiesAfterSwap {
		return
	}
	base, err := lc.retireCounts(next)
	fatal(err)
	lc.rec.Base, lc.rec.State, lc.rec.Pending = base, next, nil
	fatal(lc.node.Records.Save(lc.lock, lc.rec))
}

// AwaitGracePeriod, and what a check of manual members does, are tested by themselves.
var (
	AwaitGracePeriod = awaitGracePeriod
	CheckTransmitted = (*LockedChain).checkTransmitted
)

// FlipsFrags tells whether a chain of one member with that record would flip frags by a member
// that takes packets of several buffers, or not.
func FlipsFrags(recorded *record.State, takesFrags resolve.Member) bool {
	running := LockedChain{rec: &record.Record{State: recorded}}
	return running.flipsFrags(&plan{members: []resolve.Member{takesFrags}})
}
