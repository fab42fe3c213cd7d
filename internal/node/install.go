// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// install records the new generation, stages its pins and swaps it in.
func (t *tenure) install(ctx context.Context, built *dispatcher.Built, next *record.State, found *libxdpChain) error {
	if err := t.describe(built, next); err != nil {
		return err
	}
	peer, err := t.notePeer(next)
	if err != nil {
		return err
	}
	defer peer.close()
	t.rec.Pending = next
	err = t.node.Records.Save(t.lock, t.rec)
	if err == nil {
		// Dies after it: the same goes for GRO at the veth's other end.
		err = peer.poll()
	}
	if err == nil {
		// Dies here: the next tenure finds that the kernel does not run the pending
		// program, and drops it. The same goes for a half-made staging folder.
		err = t.stageAndSwap(ctx, built, next, found)
	}
	if err != nil {
		return errors.Join(err, t.drop(ctx))
	}
	return nil
}

// describe fills in what is known of a generation once it is loaded.
func (t *tenure) describe(built *dispatcher.Built, next *record.State) error {
	var err error
	if next.ProgramID, err = programID(built.Program); err != nil {
		return err
	}
	for i, m := range next.Members {
		next.Members[i].Pins = slices.Sorted(maps.Keys(built.Maps[m.Name]))
	}
	return describeSlots(built, next)
}

// describeSlots notes the programs of a libxdp chain's members, and their order: with
// others' members between them it is libxdp's.
func describeSlots(built *dispatcher.Built, next *record.State) error {
	place := make(map[string]int, len(built.Slots))
	for i, s := range built.Slots {
		m := slices.IndexFunc(next.Members, func(m record.Member) bool { return m.Name == s.Member })
		if m < 0 {
			continue // others'
		}
		var err error
		if next.Members[m].ProgramID, err = programID(s.Program); err != nil {
			return err
		}
		place[s.Member] = i
	}
	slices.SortStableFunc(next.Members, func(a, b record.Member) int { return place[a.Name] - place[b.Name] })
	return nil
}

func (t *tenure) stageAndSwap(ctx context.Context, built *dispatcher.Built, next *record.State, found *libxdpChain) error {
	if err := t.lock.Stage(next.Generation, built.Counters, built.Maps, ownLinks(built, next)); err != nil {
		return err
	}
	// The last look before the kernel changes: a caller that gave up gets the
	// old chain.
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("change the chain on %s: %w", t.iface.Name, err)
	}
	if next.Dispatcher == chain.DispatcherLibxdp {
		return raced(t.swapLibxdp(ctx, built, next, found))
	}
	return raced(t.swap(ctx, built, next))
}
