// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// Unload takes members out of their chains, each chain in one swap, and a chain down
// with its last member. An id that no member has satisfies errors.Is(err, [ErrNoMember]);
// a member that came with a CNI attachment is taken only if forced, else
// errors.Is(err, [ErrOthers]), and then nothing is taken at all. Of an attachment whose
// member was taken [Node.Check] says so.
//
// Dies anywhere: each chain is the one that was or the one that is to be.
func (n *Node) Unload(ctx context.Context, force bool, ids ...record.ID) error {
	byChain := make(map[chain.Key][]record.ID)
	var keys []chain.Key // in the order of the ids
	found, err := n.find(ids...)
	errs := []error{err}
	for i, rec := range found {
		if rec == nil {
			continue
		}
		errs = append(errs, mayTake(rec.State.Members[indexOf(rec.State.Members, ids[i])], force))
		if byChain[rec.Key] == nil {
			keys = append(keys, rec.Key)
		}
		byChain[rec.Key] = append(byChain[rec.Key], ids[i])
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, key := range keys {
		errs = append(errs, n.unload(ctx, key, force, byChain[key]))
	}
	return errors.Join(append(errs, n.dropHandMaps(ctx))...)
}

func (n *Node) unload(ctx context.Context, key chain.Key, force bool, ids []record.ID) error {
	t, err := n.holdByHand(ctx, key)
	if err != nil {
		return err
	}
	defer t.release()
	for _, id := range ids { // it may have changed until it was held
		member := t.memberByID(id)
		if member == nil {
			return fmt.Errorf("%w: member %d has left chain %s meanwhile", ErrNoMember, id, key)
		}
		if err := mayTake(*member, force); err != nil {
			return err
		}
	}
	if err := t.take(ctx, func(m record.Member) bool { return slices.Contains(ids, m.ID) }); err != nil {
		return fmt.Errorf("chain %s: %w", key, err)
	}
	return nil
}

// UnloadAll takes all members of owner cli out of an interface's chain, and if forced
// those of CNI attachments, too, also where the chain's record is lost. It returns the ids
// of those that it took; with none to be taken, errors.Is(err, [ErrNoMember]).
func (n *Node) UnloadAll(ctx context.Context, place Place, force bool) ([]record.ID, error) {
	iface, err := place.open()
	if err != nil {
		return nil, err
	}
	defer iface.NetNS.Close()
	t, err := n.holdPlace(ctx, iface)
	if err != nil {
		return nil, err
	}
	defer t.release()
	taken, err := t.takeAll(ctx, force)
	if err != nil {
		return nil, fmt.Errorf("unload all of %s: %w", iface.Name, err)
	}
	return taken, n.dropHandMaps(ctx)
}

func (t *tenure) takeAll(ctx context.Context, force bool) ([]record.ID, error) {
	if t.rec == nil || t.rec.State == nil {
		return nil, t.takeUnrecorded(ctx, force)
	}
	var taken []record.ID
	kept := 0
	for _, m := range t.rec.State.Members {
		if mayTake(m, force) == nil {
			taken = append(taken, m.ID)
		} else {
			kept++
		}
	}
	switch {
	case len(taken) == 0 && kept > 0:
		return nil, fmt.Errorf("%w: all members (%d) of the chain came with CNI networks, whose DEL removes them; CHECK would miss them", ErrOthers, kept)
	case len(taken) == 0:
		return nil, fmt.Errorf("%w: no member of the chain is xdp-chain's", ErrNoMember)
	}
	return taken, t.take(ctx, func(m record.Member) bool { return slices.Contains(taken, m.ID) })
}

// takeUnrecorded takes down a chain of which it is not known who its members are, if that
// is forced, and what a killed process left of a chain that never came to run.
func (t *tenure) takeUnrecorded(ctx context.Context, force bool) error {
	alive, err := t.node.linkAlive(t.lock.Key())
	switch {
	case err != nil:
		return err
	case alive && force:
		return t.remove(ctx)
	case alive:
		return fmt.Errorf("%w: the record of the chain is lost, so that whose its members are cannot be told", ErrOthers)
	case t.rec != nil:
		err = t.remove(ctx)
	default: // a file that was to become its first record
		err = t.node.Records.Remove(t.lock, t.lock.Key())
	}
	return errors.Join(fmt.Errorf("%w: the interface carries no chain", ErrNoMember), err)
}

// take takes members out of the chain, which goes with the last of them.
func (t *tenure) take(ctx context.Context, goes func(record.Member) bool) error {
	return untilNotRaced(func() error { return t.tryTake(ctx, goes) })
}

func (t *tenure) tryTake(ctx context.Context, goes func(record.Member) bool) error {
	shared, err := t.sharedWithLibxdp()
	if err != nil {
		return err
	}
	stays := func(m record.Member) bool { return !goes(m) }
	if !slices.ContainsFunc(t.rec.State.Members, stays) && !shared {
		return t.remove(ctx)
	}
	if err := t.reachable(); errors.Is(err, netdev.ErrNoInterface) {
		return t.remove(ctx) // the others' members are gone, too
	} else if err != nil {
		return err
	}
	p, err := t.planWhere(stays)
	if err == nil {
		err = t.change(ctx, p)
	}
	if errors.Is(err, errNobodyLeft) {
		return t.remove(ctx)
	}
	return err
}
