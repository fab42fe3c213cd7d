// SPDX-License-Identifier: Apache-2.0

package change

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// recover brings the chain to one generation after a process died in the middle
// of a change. The kernel decides: if the generation that was being made runs,
// it is made final; if not, it is dropped. Both can be repeated.
func (lc *LockedChain) recover(ctx context.Context) error {
	if lc.rec.Pending == nil {
		return lc.finish()
	}
	runs, err := lc.runs(lc.rec.Pending)
	if err != nil {
		return err
	}
	if runs {
		return lc.commit(ctx, *lc.rec.Pending)
	}
	if err := lc.awaitDetached(ctx, lc.rec.Pending.ProgramID); err != nil {
		return err
	}
	return lc.drop(ctx)
}

// drop forgets the pending generation. A death between its steps leaves a
// staging folder, or a record without a chain; the next holder of the lock goes on from there.
func (lc *LockedChain) drop(ctx context.Context) error {
	if lc.rec.Pending.Dispatcher == chain.DispatcherLibxdp {
		// Dies after it: the generation is still pending, and dropped again.
		if err := lc.unpin(ctx, lc.rec.Pending.ProgramID); err != nil {
			return err
		}
	}
	lc.rec.Pending = nil
	if err := lc.node.Records.Save(lc.lock, lc.rec); err != nil {
		return err
	}
	return lc.finish()
}

// finish ends what comes with one generation alone, once it is known which one runs: the
// other's pins, and GRO at the veth's other end where only that one needed it.
func (lc *LockedChain) finish() error {
	if err := lc.lock.FinalizePins(lc.generation()); err != nil {
		return err
	}
	return lc.finishPeer()
}

// commit makes a generation final that the kernel runs. Dies before the record
// is saved: the next holder of the lock commits again, from the same counters. Dies after it:
// the next holder of the lock finalizes the pins.
func (lc *LockedChain) commit(ctx context.Context, s record.State) error {
	base, err := lc.retireCounts(&s)
	if err != nil {
		return err
	}
	// The swap is over, so that nothing in the path of a packet is a stub now.
	for _, id := range lc.replacedBy(&s) {
		if err := lc.unpin(ctx, id); err != nil {
			return err
		}
	}
	if s.Mode == chain.ModeAuto { // its maker died before it could write down what the kernel took
		attached, err := lc.attached()
		if err != nil {
			return err
		}
		s.Mode = attached.Mode
	}
	lc.rec.Base, lc.rec.State, lc.rec.Pending = base, &s, nil
	if err := lc.node.Records.Save(lc.lock, lc.rec); err != nil {
		return err
	}
	return lc.finish()
}

// replacedBy are the libxdp dispatchers whose pins go when a generation is final: the one
// that was in its place, and the recorded one. That may have been taken off the interface
// before, by what leaves its pins alone, such as ip link.
func (lc *LockedChain) replacedBy(next *record.State) []uint32 {
	var ids []uint32
	if next.Replaced != 0 {
		ids = append(ids, next.Replaced)
	}
	if lc.hasLibxdp() && lc.rec.State.ProgramID != next.Replaced {
		ids = append(ids, lc.rec.State.ProgramID)
	}
	return ids
}

// retireCounts adds what the running generation counted to the base: its counters
// map goes with it. Members that stay keep their rows; the rows of those that
// leave go to [chain.RemovedMember].
func (lc *LockedChain) retireCounts(next *record.State) ([]chain.Count, error) {
	sums := state.NewTally(lc.rec.Base)
	if old := lc.rec.State; old != nil && old.Counters {
		counters, err := lc.lock.OpenCounters()
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
			counts, err := dispatcher.ReadCounters(counters, old.Places())
			if err != nil {
				return nil, fmt.Errorf("read the counters of generation %d: %w", old.Generation, err)
			}
			sums.Add(counts)
		}
	}
	return sums.KeepOnly(next), nil
}

// awaitGracePeriod returns when every packet that had entered an XDP program
// before the call has left it. XDP programs run under rcu_read_lock (or with
// bottom halves off, which counts as the same since Linux 5.0), and to put a map
// into a map of maps is to call synchronize_rcu (maybe_wait_bpf_programs of the
// kernel's kernel/bpf/syscall.c, in 5.10 and later). membarrier would do the same with one
// system call, but fails on nodes with nohz_full CPUs.
//
// Dies in it: the kernel takes both maps with the process.
func awaitGracePeriod() error {
	inner := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	outer, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "grace_period", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1,
		InnerMap: inner,
	})
	if err != nil {
		return fmt.Errorf("make a map to wait for the kernel's grace period: %w", err)
	}
	defer outer.Close()
	element, err := ebpf.NewMap(inner)
	if err != nil {
		return fmt.Errorf("make a map to wait for the kernel's grace period: %w", err)
	}
	defer element.Close()
	if err := outer.Put(uint32(0), element); err != nil {
		return fmt.Errorf("wait for the kernel's grace period: %w", err)
	}
	return nil
}
