// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"slices"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// plan is the chain that an interface is to have.
type plan struct {
	members   []wanted
	requested record.Requested
	counters  bool
	// named is the version of libxdp's protocol that an operator names for this change alone,
	// so that it means libxdp's dispatcher. A configuration is for many chains, and what it
	// requests holds for those that come to have that dispatcher.
	named chain.LibxdpVersion
}

// sorted returns what the record says of the members, in running order.
func (p *plan) sorted() []record.Member {
	return sortMembers(recorded(p.members))
}

func sortMembers(list []record.Member) []record.Member {
	slices.SortFunc(list, func(a, b record.Member) int { return chain.Compare(a.Member, b.Member) })
	return list
}

// planWith is the chain that runs, with the members of the attachment's owner
// replaced.
func (t *tenure) planWith(a *Attachment, want []wanted) (plan, error) {
	owner := a.owner()
	p, err := t.planWithout(owner)
	if err != nil {
		return plan{}, err
	}
	for i := range want {
		want[i].stayed(t.member(want[i].Name, owner))
	}
	p.members = append(p.members, want...)
	p.requested, p.counters = a.requested(), a.Counters
	return p, checkOrder(p.members)
}

// stayed gives a member that is in the chain already what stays the same for as long as
// it is.
func (w *wanted) stayed(old *record.Member) {
	if old != nil {
		w.ID, w.Created, w.Metadata = old.ID, old.Created, old.Metadata
	}
}

// planWithout is the chain that runs, without what belongs to the owner.
func (t *tenure) planWithout(owner record.Owner) (plan, error) {
	return t.planWhere(func(m record.Member) bool { return !m.Owner.Same(owner) })
}

// planWhere is the chain that runs, with those of its members that are to stay. They are
// rebuilt from the record and the store.
func (t *tenure) planWhere(stays func(record.Member) bool) (plan, error) {
	if t.rec.State == nil {
		return plan{}, nil
	}
	p := plan{requested: t.rec.State.Requested, counters: t.rec.State.Counters}
	for _, m := range t.rec.State.Members {
		if !stays(m) {
			continue
		}
		w, err := t.node.rebuild(m)
		if err != nil {
			return plan{}, err
		}
		p.members = append(p.members, w)
	}
	return p, nil
}

// number gives those members an id and a date that are new in the chain. Dies after it:
// no member will have the ids.
func (t *tenure) number(ctx context.Context, p *plan) error {
	var fresh []*wanted
	for i := range p.members {
		if p.members[i].ID == 0 {
			fresh = append(fresh, &p.members[i])
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	id, err := t.node.Records.TakeIDs(ctx, len(fresh))
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	for i, w := range fresh {
		w.ID, w.Created = id+record.ID(i), now
	}
	return nil
}

// has tells whether the chain is what is planned, in the record, in the kernel
// and on bpffs.
func (t *tenure) has(p plan) (bool, error) {
	s := t.rec.State
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
	if !sameJSON(planned, running) {
		return false, nil
	}
	differences, err := t.differences()
	return err == nil && len(differences) == 0, err
}
