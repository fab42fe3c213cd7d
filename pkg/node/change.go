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
	return t.retry(ctx, func() error {
		found, err := t.node.findLibxdp(t.rec, t.iface)
		if err != nil {
			return err
		}
		defer found.close()
		c, err := t.chooseFor(p.requested, found)
		if err != nil {
			return err
		}
		err = t.changeTo(ctx, p, c, found)
		if err == nil || found != nil || t.hasMembers() {
			return err
		}
		if c, err = t.node.fallBack(p.requested, err); err != nil {
			return err
		}
		return t.changeTo(ctx, p, c, found)
	})
}

// hasMembers tells whether the chain is recorded to have members of ours.
func (t *tenure) hasMembers() bool {
	return t.rec.State != nil && len(t.rec.State.Members) > 0
}

// changeTo makes the change with one dispatcher, in the place of what was found.
func (t *tenure) changeTo(ctx context.Context, p plan, c choice, found *libxdpChain) error {
	if err := checkCount(&p, c, found); err != nil {
		return err
	}
	next, err := t.next(p, c, found)
	if err != nil {
		return err
	}
	given, err := t.givenMaps(ctx, p)
	if err != nil {
		return err
	}
	defer given.close()
	built, err := t.build(ctx, p, c, next, given, found)
	if err != nil {
		return errors.Join(err, given.undo())
	}
	defer built.Close()
	err = given.fill()
	if err == nil {
		err = t.install(ctx, built, next, found)
	}
	if err != nil {
		return errors.Join(err, given.undo())
	}
	return t.commit(ctx, *next)
}

// checkCount refuses a chain that its dispatcher cannot call, before anything is made.
func checkCount(p *plan, c choice, found *libxdpChain) error {
	others := len(found.others())
	if others > 0 && len(p.members)+others > c.MaxMembers() {
		return fmt.Errorf("%w: the chain would have %d, of them %d that libxdp's tools put there; libxdp's dispatcher calls at most %d: take some off",
			chain.ErrTooManyMembers, len(p.members)+others, others, c.MaxMembers())
	}
	members := make([]chain.Member, 0, len(p.members))
	for _, w := range p.members {
		members = append(members, w.Member.Member)
	}
	return chain.CheckMembers(members, c.MaxMembers())
}

// next is the generation to come, before it is known which program it runs.
func (t *tenure) next(p plan, c choice, found *libxdpChain) (*record.State, error) {
	s := &record.State{
		Generation: t.generation() + 1, Requested: p.requested, Members: p.sorted(),
		Mode: p.requested.Mode, Attach: p.requested.Attach,
		Dispatcher: c.Kind(), DispatcherWhy: c.why, LibxdpVersion: c.version,
		Counters: p.counters && c.Kind() != chain.DispatcherLibxdp,
	}
	if found != nil {
		s.Replaced = found.id
	}
	if s.Attach == chain.AttachAuto {
		s.Attach = defaultAttach(c.Kind())
	}
	if c.Kind() == chain.DispatcherLibxdp && s.Attach != chain.AttachNetlink {
		return nil, fmt.Errorf(`%w: dispatcher libxdp is attached by netlink, as its protocol demands, and %q is asked for; use attach "auto"`, netdev.ErrUnsupported, s.Attach)
	}
	return s, t.keepHook(s, found)
}

func defaultAttach(kind chain.Dispatcher) chain.Attach {
	if kind == chain.DispatcherLibxdp {
		return chain.AttachNetlink
	}
	return chain.AttachLink
}

// keepHook has a chain stay as it is held and in the mode that it runs in: going
// from a bpf_link to netlink, or from one mode to another, takes an instant
// without a chain.
func (t *tenure) keepHook(s *record.State, found *libxdpChain) error {
	old := record.State{Attach: chain.AttachNetlink}
	switch {
	case t.rec.State != nil && (found != nil || len(t.rec.State.Members) > 0):
		old = *t.rec.State
	case found == nil:
		return nil
	}
	if found != nil {
		old.Mode = found.mode
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

// build makes the new dispatcher whole, with the maps that members are given and, for
// libxdp's, with the programs that were in it before.
func (t *tenure) build(ctx context.Context, p plan, c choice, next *record.State, given *givenMaps, found *libxdpChain) (*dispatcher.Built, error) {
	members := make([]dispatcher.Member, 0, len(p.members))
	for _, w := range p.members {
		m := dispatcher.Member{Member: w.Member.Member, Spec: w.program.Spec, Maps: given.byMember[w.Name]}
		if c.Kind() == chain.DispatcherLibxdp {
			loaded, err := t.loadedProgram(&w, m.Maps, found)
			if err != nil {
				return nil, err
			}
			m.Loaded = loaded
		}
		members = append(members, m)
	}
	if c.Kind() == chain.DispatcherLibxdp {
		members = append(members, found.others()...)
	}
	opts := dispatcher.Options{Counters: next.Counters}
	if next.Mode != chain.ModeOffload {
		return c.Build(ctx, members, opts)
	}
	opts.Ifindex = t.iface.Index
	built, err := c.Build(ctx, members, opts)
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

// loadedProgram returns the extension program that a member runs as already, where it
// is to stay as it is in all but its place; otherwise nil. It is found's to close.
func (t *tenure) loadedProgram(w *wanted, given map[string]*ebpf.Map, found *libxdpChain) (*ebpf.Program, error) {
	old := t.member(w.Name, w.Owner)
	if old == nil || old.Object != w.Object || old.Function != w.Function || !sameJSON(old.Maps, w.Maps) || !sameJSON(old.Globals, w.Globals) {
		return nil, nil
	}
	s := found.slot(old.ProgramID)
	if s == nil {
		return nil, nil
	}
	uses, err := usesMaps(s.program, w.program.Spec, given)
	if !uses || err != nil {
		return nil, err
	}
	return s.program, nil
}

// usesMaps tells whether a loaded program uses the maps that are given for its spec: a
// network's may have been made anew since, and a pin of its own may be lost.
func usesMaps(p *ebpf.Program, spec *ebpf.CollectionSpec, given map[string]*ebpf.Map) (bool, error) {
	info, err := p.Info()
	if err != nil {
		return false, fmt.Errorf("read about %s: %w", p, err)
	}
	used, _ := info.MapIDs()
	for name := range spec.Maps {
		if given[name] == nil {
			return false, nil
		}
		info, err := given[name].Info()
		if err != nil {
			return false, fmt.Errorf("read about map %q: %w", name, err)
		}
		if id, _ := info.ID(); !slices.Contains(used, id) {
			return false, nil
		}
	}
	return true, nil
}

func closeMaps(opened map[string]*ebpf.Map) {
	for _, m := range opened {
		m.Close()
	}
}

// install records the new generation, stages its pins and swaps it in.
func (t *tenure) install(ctx context.Context, built *dispatcher.Built, next *record.State, found *libxdpChain) error {
	if err := t.describe(built, next); err != nil {
		return err
	}
	t.rec.Pending = next
	err := t.node.Records.Save(t.lock, t.rec)
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
