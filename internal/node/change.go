// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// change gives the interface the planned chain in one atomic swap. What dies
// where: before the pending generation is recorded, nothing outside of the
// process has changed; from then to the swap, the next tenure drops it; after
// the swap, the next tenure makes it final. An error leaves the old chain, or
// none where there was none.
//
// The locks of networks whose maps it makes come before libxdp's, which a change that is
// made again holds from its beginning.
func (t *tenure) change(ctx context.Context, p plan) error {
	if err := t.number(ctx, &p); err != nil {
		return err
	}
	given, err := t.givenMaps(ctx, p)
	if err != nil {
		return err
	}
	defer given.close()
	if err := t.retry(ctx, func() error { return t.tryChange(ctx, p, given) }); err != nil {
		return errors.Join(err, given.undo())
	}
	return nil
}

// tryChange makes the change on top of what the interface carries now.
func (t *tenure) tryChange(ctx context.Context, p plan, given *givenMaps) error {
	found, err := t.node.findLibxdp(t.rec, t.iface)
	if err != nil {
		return err
	}
	defer found.close()
	c, err := t.chooseFor(p.requested, found)
	if err != nil {
		return err
	}
	err = t.changeTo(ctx, p, c, given, found)
	if err == nil || found != nil || t.hasMembers() {
		return err
	}
	if c, err = t.node.fallBack(ctx, p.requested, p.members, err); err != nil {
		return err
	}
	return c.blame(t.changeTo(ctx, p, c, given, found))
}

// hasMembers tells whether the chain is recorded to have members of ours.
func (t *tenure) hasMembers() bool {
	return t.rec.State != nil && len(t.rec.State.Members) > 0
}

// errNobodyLeft is the error of a change that takes our last member out of a chain from
// which libxdp's tools have taken their last one since it was planned.
var errNobodyLeft = errors.New("the chain would have no members")

// changeTo makes the change with one dispatcher, in the place of what was found.
func (t *tenure) changeTo(ctx context.Context, p plan, c choice, given *givenMaps, found *libxdpChain) error {
	if len(p.members)+len(found.others()) == 0 {
		return errNobodyLeft
	}
	if err := checkCount(&p, c, found); err != nil {
		return err
	}
	next, err := t.next(p, c, found)
	if err != nil {
		return err
	}
	built, err := t.build(ctx, p, c, next, given, found)
	if err != nil {
		return t.blameShared(&p, err)
	}
	defer built.Close()
	if p.named != chain.LibxdpVersionAuto && c.Kind() == chain.DispatcherLinked { // it could be linked, after all
		return errVersionOfLinked(p.named)
	}
	if err := given.fill(); err != nil {
		return err
	}
	if t.keepNative, err = keepsNative(ctx, c, &p, built); err != nil {
		return err
	}
	if err := t.install(ctx, built, next, found); err != nil {
		if t.keepNative && errors.As(err, new(*netdev.MTUError)) {
			err = fmt.Errorf("%w: what the pod's annotation names would have the network's own programs run in generic mode: %w", config.ErrPolicy, err)
		}
		return err
	}
	given.keep()
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
		Counters: p.counters && c.Kind() != chain.DispatcherLibxdp, Frags: p.frags(),
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
	byGRO, err := t.pollsByGRO(next)
	if err != nil {
		return nil, err
	}
	opts := dispatcher.Options{Counters: next.Counters, TXByRedirect: byGRO, InNetNS: t.iface.NetNS.Do}
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
