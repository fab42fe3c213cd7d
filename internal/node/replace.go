// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// Replacement is what a member is to run in the place of what it runs.
type Replacement struct {
	// Object is the absolute path of an object, or Entry the name of a catalog entry.
	Object, Entry string
	Catalog       *catalog.Catalog
	// Function is the program to take where the object holds several; empty is the one
	// that the member runs, if the object has it.
	Function string
	// Globals and Maps are set besides, or in the place of, those that were set for the
	// member. A map for which something is set is made anew.
	Globals map[string]json.RawMessage
	Maps    map[string]config.MapSettings
	// Force allows to replace a member that came with a CNI attachment.
	Force bool
}

// Replace gives a member another program, in one swap, and returns it. It keeps its id,
// its name, its place in the chain and its counts. Its maps are kept where the new program has some
// of the same name and shape, all but global variables; what was set for the member is set again.
// Errors are those of [Node.Unload] and of [Node.Load].
//
// Dies anywhere: the member runs the old program or the new one.
func (n *Node) Replace(ctx context.Context, id record.ID, r Replacement) (ChainMember, error) {
	found, err := n.find(id)
	if err != nil {
		return ChainMember{}, err
	}
	key, member := found[0].Key, found[0].State.Members[indexOf(found[0].State.Members, id)]
	if err := mayTake(member, r.Force); err != nil {
		return ChainMember{}, err
	}
	t, err := n.holdByHand(ctx, key)
	if err != nil {
		return ChainMember{}, err
	}
	defer t.release()
	if err := t.replace(ctx, id, &r); err != nil {
		return ChainMember{}, fmt.Errorf("member %d (%s) of chain %s: %w", id, member.Name, key, err)
	}
	return t.shownMember(member.Name)
}

func (t *tenure) replace(ctx context.Context, id record.ID, r *Replacement) error {
	member := t.memberByID(id)
	if member == nil {
		return fmt.Errorf("%w: it has left meanwhile", ErrNoMember)
	}
	if err := t.reachable(); err != nil {
		return err
	}
	old := *member
	if err := mayTake(old, r.Force); err != nil {
		return err
	}
	w, err := r.resolve(&old, t.iface)
	if err != nil {
		return err
	}
	if err := t.node.Store.Put(w.object); err != nil {
		return err
	}
	p, err := t.planWhere(func(m record.Member) bool { return m.ID != id })
	if err != nil {
		return err
	}
	p.members = append(p.members, *w)
	if err := t.mayTransmit(p.sorted()); err != nil {
		return err
	}
	return t.change(ctx, p)
}

// mayTransmit returns nil where the other end would take what the chain transmits if it had
// these members: before the swap, since what is swapped out has lost maps by then.
func (t *tenure) mayTransmit(members []record.Member) error {
	next := *t.rec.State
	next.Members = members
	peer, err := t.deafPeer(&next)
	if peer == "" || err != nil {
		return err
	}
	return fmt.Errorf("%w: it transmits, and %s, the other end, %s", ebpf.ErrNotSupported, peer, withoutProgram)
}

// resolve makes the member of what it is to run and of what it was.
func (r *Replacement) resolve(old *record.Member, iface *netdev.Interface) (*wanted, error) {
	p := config.Program{
		Name: old.Name, Object: r.Object, Function: r.Function,
		Priority: &old.Priority, ProceedOn: &old.ProceedOn,
		Globals: over(old.Globals, r.Globals), Maps: over(old.Maps, r.Maps),
	}
	if r.Entry != "" {
		p.Name = r.Entry
	}
	resolver := newResolver(r.Catalog)
	resolver.final = settings{without(old.Globals, r.Globals), without(old.Maps, r.Maps)}
	if p.Function == "" {
		from, err := resolver.source(&p)
		if err != nil {
			return nil, err
		}
		if _, err := from.object.Program(old.Function); err == nil {
			p.Function = old.Function
		}
	}
	w, err := resolver.one(p, old.Owner, onlyInterface(iface))
	if err != nil {
		return nil, err
	}
	w.Name = old.Name
	w.stayed(old)
	w.asked, w.Asked, w.keepsShape = old.Asked, old.Asked, true
	w.ByHand = old.Owner.Kind != record.OwnerCLI
	return &w, nil
}

// over returns what was set with what is to be set in its place or besides.
func over[V any](was, now map[string]V) map[string]V {
	if len(now) == 0 {
		return was
	}
	all := maps.Clone(was)
	if all == nil {
		all = make(map[string]V, len(now))
	}
	maps.Copy(all, now)
	return all
}

// without returns what was set and stays, since nothing is to be set in its place.
func without[V any](was, now map[string]V) map[string]V {
	stays := maps.Clone(was)
	maps.DeleteFunc(stays, func(name string, _ V) bool { _, again := now[name]; return again })
	return stays
}
