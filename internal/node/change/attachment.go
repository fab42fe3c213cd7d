// SPDX-License-Identifier: Apache-2.0

package change

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// plan is the chain that an interface is to have.
type plan struct {
	members   []resolve.Member
	requested config.Requested
	counters  bool
	// named is the version of libxdp's protocol that an operator names for this change alone,
	// so that it means libxdp's dispatcher. A configuration is for many chains, and what it
	// requests holds for those that come to have that dispatcher.
	named chain.LibxdpVersion
}

// sorted returns what the record says of the members, in running order.
func (p *plan) sorted() []record.Member {
	return sortMembers(resolve.Records(p.members))
}

func sortMembers(list []record.Member) []record.Member {
	slices.SortFunc(list, func(a, b record.Member) int { return chain.Compare(a.Member, b.Member) })
	return list
}

// frags reports whether every member takes packets of several buffers.
func (p *plan) frags() bool {
	return !slices.ContainsFunc(p.members, func(w resolve.Member) bool { return !w.Program.Frags })
}

// planWith is the chain that runs, with the members of the attachment's owner
// replaced.
func (lc *LockedChain) planWith(a *resolve.Attachment, want []resolve.Member) (plan, error) {
	owner := a.Owner
	p, err := lc.planWithout(owner)
	if err != nil {
		return plan{}, err
	}
	for i := range want {
		want[i].KeepIdentity(lc.state().Member(want[i].Record.Name, owner))
	}
	p.members = append(p.members, want...)
	p.requested, p.counters = a.Requested, a.Counters
	return p, resolve.CheckOrder(p.members)
}

// planWithout is the chain that runs, without what belongs to the owner.
func (lc *LockedChain) planWithout(owner record.Owner) (plan, error) {
	return lc.planWhere(func(m record.Member) bool { return !m.Owner.Same(owner) })
}

// planWhere is the chain that runs, with those of its members that are to stay. They are
// rebuilt from the record and the store.
func (lc *LockedChain) planWhere(stays func(record.Member) bool) (plan, error) {
	if lc.rec.State == nil {
		return plan{}, nil
	}
	p := plan{requested: lc.rec.State.Requested, counters: lc.rec.State.Counters}
	for _, m := range lc.rec.State.Members {
		if !stays(m) {
			continue
		}
		w, err := resolve.Rebuild(lc.node.Store, m)
		if err != nil {
			return plan{}, err
		}
		p.members = append(p.members, w)
	}
	return p, nil
}

// number gives those members an id and a date that are new in the chain. Dies after it:
// no member will have the ids.
func (lc *LockedChain) number(ctx context.Context, p *plan) error {
	var fresh []*resolve.Member
	for i := range p.members {
		if p.members[i].Record.ID == 0 {
			fresh = append(fresh, &p.members[i])
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	id, err := lc.node.Records.TakeIDs(ctx, len(fresh))
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	for i, w := range fresh {
		w.Record.ID, w.Record.Created = id+record.ID(i), now
	}
	return nil
}

// has tells whether the chain is what is planned, in the record, in the kernel
// and on bpffs.
func (lc *LockedChain) has(p plan) (bool, error) {
	s := lc.rec.State
	if s == nil {
		return false, nil
	}
	counters := p.counters && s.Dispatcher != chain.DispatcherLibxdp
	planned := record.State{Requested: p.requested, Counters: counters, Members: p.sorted()}
	running := record.State{Requested: s.Requested, Counters: s.Counters, Members: sortMembers(slices.Clone(s.Members))}
	for _, members := range [][]record.Member{planned.Members, running.Members} {
		for i := range members { // what the kernel gave them; others' have it in the plan, too
			members[i].Pins, members[i].ProgramID = nil, 0
		}
	}
	if !state.SameJSON(planned, running) {
		return false, nil
	}
	differences, err := lc.recordedDifferences()
	return err == nil && len(differences) == 0, err
}

// AttachTarget is an interface that a chain of an attachment is for.
type AttachTarget struct {
	Interface *netdev.Interface
	Side      config.Side
	// NetNS is the path of its namespace as the record keeps it.
	NetNS string
}

// SetMembers makes the given members the attachment's members in the chain of one interface.
func SetMembers(ctx context.Context, n *state.Node, a *resolve.Attachment, target AttachTarget, want []resolve.Member) error {
	lc, err := Lock(ctx, n, target.Interface.Key(), target.Interface)
	if err != nil {
		return err
	}
	defer lc.Unlock()
	lc.pod = a.NetNS
	if lc.rec == nil {
		if err := lc.mayRecord(a.Owner); err != nil {
			return err
		}
		lc.beginRecord(target.NetNS, target.Side)
		if err := lc.adopt(a); err != nil {
			return err
		}
	}
	p, err := lc.planWith(a, want)
	if err == nil {
		var same bool
		if same, err = lc.has(p); same {
			return nil
		}
	}
	if err == nil {
		err = lc.change(ctx, p)
	}
	if err != nil && lc.rec.State == nil {
		err = errors.Join(err, lc.remove(ctx))
	}
	if err != nil {
		return fmt.Errorf("chain on %s (side %s): %w", target.Interface.Name, target.Side, err)
	}
	return nil
}

// beginRecord begins the record of a chain that there was none of.
func (lc *LockedChain) beginRecord(netns string, side config.Side) {
	lc.rec = &record.Record{
		Version: record.Version, Key: lc.iface.Key(), Interface: lc.iface.Name, NetNS: netns, Side: side, Created: time.Now().UTC(),
	}
}

// mayRecord says whether a chain without a record may get a new one: not where its
// record was set aside and others have members in it that are known no more.
func (lc *LockedChain) mayRecord(owner record.Owner) error {
	l, err := lc.lock.OpenLink()
	if err == nil {
		l.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	programs, linksErr := lc.linkedPrograms()
	if linksErr != nil {
		return linksErr
	}
	if err != nil && len(programs) == 0 {
		return nil
	}
	claimed, err := lc.node.ClaimedByOther(lc.lock.Key(), owner)
	if claimed {
		err = fmt.Errorf("%w: the record of chain %s is broken and other attachments have members in it; remove those first", netdev.ErrBusy, lc.lock.Key())
	}
	return err
}

// adopt writes down again what can still be told of a libxdp chain whose record was
// lost, or its members, being no longer known as ours, would stay as others' beside those
// that are to come. Dies after it: the chain is recorded, by members that are built anew
// with the next change.
func (lc *LockedChain) adopt(a *resolve.Attachment) error {
	programs, err := lc.linkedPrograms()
	if err != nil || len(programs) == 0 {
		return err
	}
	s := &record.State{
		Requested: a.Requested, Mode: a.Mode, Attach: chain.AttachNetlink,
		Dispatcher: chain.DispatcherLibxdp, DispatcherWhy: "its record was lost, and that is what it was", LibxdpVersion: a.LibxdpVersion,
	}
	for member, id := range programs {
		s.Members = append(s.Members, record.Member{Member: chain.Member{Name: member}, Owner: a.Owner, ProgramID: uint32(id)})
	}
	lc.rec.State = s
	found, err := lc.node.FindLibxdp(lc.rec, lc.iface)
	if err != nil {
		return err
	}
	defer found.Close()
	if found != nil {
		s.ProgramID, s.Mode, s.LibxdpVersion = found.ID, found.Mode, found.Version
	}
	return lc.node.Records.Save(lc.lock, lc.rec)
}

// Check compares the chain of one interface with what the kernel runs, and with what the
// attachment's configuration wants there. Each difference is an error that satisfies
// errors.Is(err, [state.ErrDiffers]); all are joined.
func Check(ctx context.Context, n *state.Node, a *resolve.Attachment, target AttachTarget, programs []config.Program) error {
	lc, err := Lock(ctx, n, target.Interface.Key(), target.Interface)
	if err != nil {
		return err
	}
	defer lc.Unlock()
	lc.pod = a.NetNS
	if lc.rec == nil || lc.rec.State == nil {
		return fmt.Errorf("%w: %s (side %s) has no chain: it was not added, or it was removed", state.ErrDiffers, target.Interface.Name, target.Side)
	}
	differences, err := lc.recordedDifferences()
	if err != nil {
		return err
	}
	differences = append(differences, lc.missing(a, programs)...)
	errs := make([]error, len(differences))
	for i, d := range differences {
		errs[i] = fmt.Errorf("%w: %s (side %s): %s", state.ErrDiffers, target.Interface.Name, target.Side, d)
	}
	return errors.Join(errs...)
}
