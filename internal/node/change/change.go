// SPDX-License-Identifier: Apache-2.0

package change

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/bpfspec"
	"github.com/xdp-chain/xdp-chain/internal/node/membermaps"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// change gives the interface the planned chain in one atomic swap. What dies
// where: before the pending generation is recorded, nothing outside of the
// process has changed; from then to the swap, the next holder of the lock drops it; after
// the swap, the next holder of the lock makes it final. An error leaves the old chain, or
// none where there was none.
//
// The locks of networks whose maps it makes come before libxdp's, which a change that is
// made again holds from its beginning.
func (lc *LockedChain) change(ctx context.Context, p plan) error {
	if err := lc.number(ctx, &p); err != nil {
		return err
	}
	given, err := membermaps.Open(ctx, lc.node, lc.lock, lc.state(), p.members, lc.flipsFrags(&p))
	if err != nil {
		return err
	}
	defer given.Close()
	if err := lc.retry(ctx, func() error { return lc.tryChange(ctx, p, given) }); err != nil {
		return errors.Join(err, given.Undo())
	}
	return nil
}

// tryChange makes the change on top of what the interface carries now.
func (lc *LockedChain) tryChange(ctx context.Context, p plan, given *membermaps.Replacements) error {
	found, err := lc.node.FindLibxdp(lc.rec, lc.iface)
	if err != nil {
		return err
	}
	defer found.Close()
	c, err := lc.chooseFor(p.requested, found)
	if err != nil {
		return err
	}
	err = lc.changeTo(ctx, p, c, given, found)
	if err == nil || found != nil || lc.hasMembers() {
		return err
	}
	if c, err = fallBack(ctx, lc.node, p.requested, p.members, err); err != nil {
		return err
	}
	return c.blame(lc.changeTo(ctx, p, c, given, found))
}

// errNobodyLeft is the error of a change that takes our last member out of a chain from
// which libxdp's tools have taken their last one since it was planned.
var errNobodyLeft = errors.New("the chain would have no members")

// changeTo makes the change with one dispatcher, in the place of what was found.
func (lc *LockedChain) changeTo(ctx context.Context, p plan, c choice, given *membermaps.Replacements, found *state.LibxdpChain) error {
	if len(p.members)+len(found.Others()) == 0 {
		return errNobodyLeft
	}
	if err := checkCount(p.members, c, found); err != nil {
		return err
	}
	next, err := lc.next(p, c, found)
	if err != nil {
		return err
	}
	built, err := lc.build(ctx, p, c, next, given, found)
	if err != nil {
		return lc.blameShared(&p, err)
	}
	defer built.Close()
	if p.named != chain.LibxdpVersionAuto && c.Kind() == chain.DispatcherLinked { // it could be linked, after all
		return ErrVersionOfLinked(p.named)
	}
	if err := given.Update(); err != nil {
		return err
	}
	if lc.keepNative, err = keepsNative(ctx, c, &p, built); err != nil {
		return err
	}
	if err := lc.install(ctx, built, next, found); err != nil {
		if lc.keepNative && errors.As(err, new(*netdev.MTUError)) {
			err = fmt.Errorf("%w: what the pod's annotation names would have the network's own programs run in generic mode: %w", config.ErrPolicy, err)
		}
		return err
	}
	given.Keep()
	return lc.commit(ctx, *next)
}

// next is the generation to come, before it is known which program it runs.
func (lc *LockedChain) next(p plan, c choice, found *state.LibxdpChain) (*record.State, error) {
	s := &record.State{
		Generation: lc.generation() + 1, Requested: p.requested, Members: p.sorted(),
		Mode: p.requested.Mode, Attach: p.requested.Attach,
		Dispatcher: c.Kind(), DispatcherWhy: c.why, LibxdpVersion: c.version,
		Counters: p.counters && c.Kind() != chain.DispatcherLibxdp, Frags: p.frags(),
	}
	if found != nil {
		s.Replaced = found.ID
	}
	if s.Attach == chain.AttachAuto {
		s.Attach = defaultAttach(c.Kind())
	}
	if c.Kind() == chain.DispatcherLibxdp && s.Attach != chain.AttachNetlink {
		return nil, fmt.Errorf(`%w: dispatcher libxdp is attached by netlink, as its protocol demands, and %q is asked for; use attach "auto"`, netdev.ErrUnsupported, s.Attach)
	}
	return s, lc.keepHook(s, found)
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
func (lc *LockedChain) keepHook(s *record.State, found *state.LibxdpChain) error {
	old := record.State{Attach: chain.AttachNetlink}
	switch {
	case lc.rec.State != nil && (found != nil || len(lc.rec.State.Members) > 0):
		old = *lc.rec.State
	case found == nil:
		return nil
	}
	if found != nil {
		old.Mode = found.Mode
	}
	if s.Requested.Attach == chain.AttachAuto {
		s.Attach = old.Attach
	}
	if s.Requested.Mode == chain.ModeAuto {
		s.Mode, s.ModeWhy = old.Mode, old.ModeWhy
	}
	if s.Attach != old.Attach || s.Mode != old.Mode {
		return fmt.Errorf("%w: the chain is attached by %s in mode %s, and %s in mode %s is asked for, which would take an instant without a chain; take all of its members off first",
			netdev.ErrUnsupported, old.Attach, old.Mode, s.Attach, s.Mode)
	}
	return nil
}

// build makes the new dispatcher whole, with the maps that members are given and, for
// libxdp's, with the programs that were in it before.
func (lc *LockedChain) build(ctx context.Context, p plan, c choice, next *record.State, given *membermaps.Replacements, found *state.LibxdpChain) (*dispatcher.Built, error) {
	members := make([]dispatcher.Member, 0, len(p.members))
	for _, w := range p.members {
		m := dispatcher.Member{Member: w.Record.Member, Spec: w.Program.Spec, Maps: given.ByMember[w.Record.Name]}
		if c.Kind() == chain.DispatcherLibxdp {
			loaded, err := lc.loadedProgram(&w, m.Maps, found)
			if err != nil {
				return nil, err
			}
			m.Loaded = loaded
		}
		members = append(members, m)
	}
	if c.Kind() == chain.DispatcherLibxdp {
		members = append(members, found.Others()...)
	}
	byGRO, err := lc.pollsByGRO(next)
	if err != nil {
		return nil, err
	}
	opts := dispatcher.Options{Counters: next.Counters, TXByRedirect: byGRO, InNetNS: lc.iface.NetNS.Do}
	if next.Mode != chain.ModeOffload {
		return c.Build(ctx, members, opts)
	}
	opts.Ifindex = lc.iface.Index
	built, err := c.Build(ctx, members, opts)
	if err != nil {
		// A program for hardware is refused as it is loaded, and no log tells
		// whether the interface or the program is at fault.
		if refused := (*dispatcher.RefusedError)(nil); errors.As(err, &refused) {
			err = refused.Err
		}
		return nil, fmt.Errorf("%w: %s does not run this chain in hardware (%v); use mode auto, native or generic", netdev.ErrUnsupported, lc.iface.Name, err)
	}
	return built, nil
}

// install records the new generation, stages its pins and swaps it in.
func (lc *LockedChain) install(ctx context.Context, built *dispatcher.Built, next *record.State, found *state.LibxdpChain) error {
	if err := lc.describe(built, next); err != nil {
		return err
	}
	peer, err := lc.notePeer(next)
	if err != nil {
		return err
	}
	defer peer.close()
	lc.rec.Pending = next
	err = lc.node.Records.Save(lc.lock, lc.rec)
	if err == nil {
		// Dies after it: the same goes for GRO at the veth's other end.
		err = peer.poll()
	}
	if err == nil {
		// Dies here: the next holder of the lock finds that the kernel does not run the pending
		// program, and drops it. The same goes for a half-made staging folder.
		err = lc.stageAndSwap(ctx, built, next, found)
	}
	if err != nil {
		return errors.Join(err, lc.drop(ctx))
	}
	return nil
}

// describe fills in what is known of a generation once it is loaded.
func (lc *LockedChain) describe(built *dispatcher.Built, next *record.State) error {
	var err error
	if next.ProgramID, err = state.ProgramID(built.Program); err != nil {
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
		if next.Members[m].ProgramID, err = state.ProgramID(s.Program); err != nil {
			return err
		}
		place[s.Member] = i
	}
	slices.SortStableFunc(next.Members, func(a, b record.Member) int { return place[a.Name] - place[b.Name] })
	return nil
}

func (lc *LockedChain) stageAndSwap(ctx context.Context, built *dispatcher.Built, next *record.State, found *state.LibxdpChain) error {
	if err := lc.lock.Stage(next.Generation, built.Counters, built.Maps, ownLinks(built, next)); err != nil {
		return err
	}
	// The last look before the kernel changes: a caller that gave up gets the
	// old chain.
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("change the chain on %s: %w", lc.iface.Name, err)
	}
	if next.Dispatcher == chain.DispatcherLibxdp {
		return raced(lc.swapLibxdp(ctx, built, next, found))
	}
	return raced(lc.swap(ctx, built, next))
}

// flipsFrags reports whether a plan has the chain take packets of several buffers where
// it did not, or no more where it did: since Linux 5.18 no such two chains can use one
// devmap or cpumap (bpf_prog_map_compatible of kernel/bpf/core.c). In libxdp's dispatcher the
// programs that use them are extensions, which are all loaded alike.
func (lc *LockedChain) flipsFrags(p *plan) bool {
	return lc.hasMembers() && lc.rec.State.Dispatcher == chain.DispatcherLinked && lc.rec.State.Frags != p.frags()
}

// blameShared adds to an error of the kernel's, which says nothing then, that a chain cannot
// begin or cease to take packets of several buffers while it shares a map that redirects.
func (lc *LockedChain) blameShared(p *plan, err error) error {
	refused := (*dispatcher.RefusedError)(nil)
	if !errors.As(err, &refused) || len(refused.Log) > 0 || !lc.flipsFrags(p) {
		return err
	}
	for i := range p.members {
		w := &p.members[i]
		for name, spec := range w.Program.Spec.Maps {
			if bpfspec.Redirects(spec.Type) && w.SharesMap(name) {
				return fmt.Errorf("%w; either all chains that use the shared map %q of member %q take packets of several buffers (SEC(\"xdp.frags\")) or none does",
					err, name, w.Record.Name)
			}
		}
	}
	return err
}

// loadedProgram returns the extension program that a member runs as already, where it
// is to stay as it is in all but its place; otherwise nil. It is found's to close.
func (lc *LockedChain) loadedProgram(w *resolve.Member, given map[string]*ebpf.Map, found *state.LibxdpChain) (*ebpf.Program, error) {
	old := lc.state().Member(w.Record.Name, w.Record.Owner)
	if old == nil || old.Object != w.Record.Object || old.Function != w.Record.Function || !state.SameJSON(old.Maps, w.Record.Maps) || !state.SameJSON(old.Globals, w.Record.Globals) {
		return nil, nil
	}
	s := found.Slot(old.ProgramID)
	if s == nil {
		return nil, nil
	}
	uses, err := usesMaps(s.Program, w.Program.Spec, given)
	if !uses || err != nil {
		return nil, err
	}
	return s.Program, nil
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
