// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// commit makes a generation final that the kernel runs. Dies before the record
// is saved: the next tenure commits again, from the same counters. Dies after it:
// the next tenure settles the pins.
func (t *tenure) commit(ctx context.Context, s record.State) error {
	base, err := t.retireCounts(&s)
	if err != nil {
		return err
	}
	// The swap is over, so that nothing in the path of a packet is a stub now.
	for _, id := range t.replacedBy(&s) {
		if err := t.unpin(ctx, id); err != nil {
			return err
		}
	}
	if s.Mode == chain.ModeAuto { // its maker died before it could write down what the kernel took
		attached, err := t.attached()
		if err != nil {
			return err
		}
		s.Mode = attached.Mode
	}
	t.rec.Base, t.rec.State, t.rec.Pending = base, &s, nil
	if err := t.node.Records.Save(t.lock, t.rec); err != nil {
		return err
	}
	return t.settle()
}

// replacedBy are the libxdp dispatchers whose pins go when a generation is final: the one
// that was in its place, and the recorded one. That may have been taken off the interface
// before, by what leaves its pins alone, such as ip link.
func (t *tenure) replacedBy(next *record.State) []uint32 {
	var ids []uint32
	if next.Replaced != 0 {
		ids = append(ids, next.Replaced)
	}
	if t.hasLibxdp() && t.rec.State.ProgramID != next.Replaced {
		ids = append(ids, t.rec.State.ProgramID)
	}
	return ids
}

// retireCounts adds what the running generation counted to the base: its counters
// map goes with it. Members that stay keep their rows; the rows of those that
// leave go to [chain.RemovedMember].
func (t *tenure) retireCounts(next *record.State) ([]chain.Count, error) {
	sums := newTally(t.rec.Base)
	if old := t.rec.State; old != nil && old.Counters {
		counters, err := t.lock.OpenCounters()
		switch {
		case errors.Is(err, fs.ErrNotExist): // somebody unpinned it: its counts are lost, the chain is not
		case err != nil:
			return nil, err
		default:
			defer counters.Close()
			// Packets that were inside at the swap are still to be counted.
			if err := awaitGracePeriod(); err != nil {
				return nil, err
			}
			counts, err := dispatcher.ReadCounters(counters, memberNames(old))
			if err != nil {
				return nil, fmt.Errorf("read the counters of generation %d: %w", old.Generation, err)
			}
			sums.add(counts)
		}
	}
	return sums.keepOnly(next), nil
}

func memberNames(s *record.State) []string {
	names := make([]string, len(s.Members))
	for i, m := range s.Members {
		names[i] = m.Name
	}
	return names
}
