// SPDX-License-Identifier: Apache-2.0

package change

import (
	"context"
	"slices"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
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
		want[i].KeepIdentity(lc.member(want[i].Record.Name, owner))
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
