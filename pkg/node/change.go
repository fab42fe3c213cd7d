// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/record"
)

// change gives the interface the planned chain in one atomic swap. What dies
// where: before the pending generation is recorded, nothing outside of the
// process has changed; from then to the swap, the next tenure drops it; after
// the swap, the next tenure makes it final. An error leaves the old chain, or
// none where there was none.
func (t *tenure) change(ctx context.Context, p plan) error {
	next, err := t.next(p)
	if err != nil {
		return err
	}
	given, err := t.givenMaps(ctx, p)
	if err != nil {
		return err
	}
	defer given.close()
	built, err := t.build(ctx, p, next, given)
	if err != nil {
		return errors.Join(err, given.undo())
	}
	defer built.Close()
	err = given.fill()
	if err == nil {
		err = t.install(ctx, built, next)
	}
	if err != nil {
		return errors.Join(err, given.undo())
	}
	return t.commit(*next)
}

// next is the generation to come, before it is known which program it runs.
func (t *tenure) next(p plan) (*record.State, error) {
	s := &record.State{
		Generation: t.generation() + 1, Requested: p.requested, Counters: p.counters, Members: p.sorted(),
		Mode: p.requested.Mode, Attach: p.requested.Attach,
	}
	if s.Attach == chain.AttachAuto {
		s.Attach = chain.AttachLink
	}
	return s, t.keepHook(s)
}

// keepHook has a chain stay as it is held and in the mode that it runs in: going
// from a bpf_link to netlink, or from one mode to another, takes an instant
// without a chain.
func (t *tenure) keepHook(s *record.State) error {
	old := t.rec.State
	if old == nil {
		return nil
	}
	if s.Requested.Attach == chain.AttachAuto {
		s.Attach = old.Attach
	}
	if s.Requested.Mode == chain.ModeAuto {
		s.Mode, s.ModeWhy = old.Mode, old.ModeWhy
	}
	if s.Attach != old.Attach || s.Mode != old.Mode {
		return fmt.Errorf("%w: the chain is attached by %s in mode %s, and %s in mode %s is asked for, which would take an instant without a chain; remove the interface's attachments first",
			netdev.ErrUnsupported, old.Attach, old.Mode, s.Attach, s.Mode)
	}
	return nil
}

// build makes the new dispatcher whole, with the maps that members are given.
func (t *tenure) build(ctx context.Context, p plan, next *record.State, given *givenMaps) (*dispatcher.Built, error) {
	d, reason, err := choose(p.requested.Dispatcher)
	if err != nil {
		return nil, err
	}
	next.Dispatcher, next.DispatcherWhy = d.Kind(), reason
	members := make([]dispatcher.Member, 0, len(p.members))
	for _, w := range p.members {
		members = append(members, dispatcher.Member{Member: w.Member.Member, Spec: w.program.Spec, Maps: given.byMember[w.Name]})
	}
	opts := dispatcher.Options{Counters: p.counters}
	if next.Mode != chain.ModeOffload {
		return d.Build(ctx, members, opts)
	}
	opts.Ifindex = t.iface.Index
	built, err := d.Build(ctx, members, opts)
	if err != nil {
		// A program for hardware is refused as it is loaded, and no log tells
		// whether the interface or the program is at fault.
		if refused := (*dispatcher.RefusedError)(nil); errors.As(err, &refused) {
			err = refused.Err
		}
		return nil, fmt.Errorf("%w: %s does not run this chain in hardware (%v); use mode auto, native or generic", netdev.ErrUnsupported, t.iface.Name, err)
	}
	return built, nil
}

func closeMaps(opened map[string]*ebpf.Map) {
	for _, m := range opened {
		m.Close()
	}
}

// install records the new generation, stages its pins and swaps it in.
func (t *tenure) install(ctx context.Context, built *dispatcher.Built, next *record.State) error {
	if err := t.describe(built, next); err != nil {
		return err
	}
	t.rec.Pending = next
	err := t.node.Records.Save(t.lock, t.rec)
	if err == nil {
		// Dies here: the next tenure finds that the kernel does not run the pending
		// program, and drops it. The same goes for a half-made staging folder.
		err = t.stageAndSwap(ctx, built, next)
	}
	if err != nil {
		return errors.Join(err, t.drop())
	}
	return nil
}

// describe fills in what is known of a generation once it is loaded.
func (t *tenure) describe(built *dispatcher.Built, next *record.State) error {
	info, err := built.Program.Info()
	if err != nil {
		return fmt.Errorf("read the id of the new program: %w", err)
	}
	id, _ := info.ID()
	next.ProgramID = uint32(id)
	for i, m := range next.Members {
		next.Members[i].Pins = slices.Sorted(maps.Keys(built.Maps[m.Name]))
	}
	return nil
}

func (t *tenure) stageAndSwap(ctx context.Context, built *dispatcher.Built, next *record.State) error {
	if err := t.lock.Stage(next.Generation, built.Counters, built.Maps, nil); err != nil {
		return err
	}
	// The last look before the kernel changes: a caller that gave up gets the
	// old chain.
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("change the chain on %s: %w", t.iface.Name, err)
	}
	return t.swap(ctx, built, next)
}
