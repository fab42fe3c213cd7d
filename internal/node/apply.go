// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// undoTimeout bounds the clean-up after a failed Apply, whose own context may
// have ended.
const undoTimeout = 5 * time.Second

// Apply gives the attachment's interfaces the chains that it wants. Applying the
// same twice changes nothing; applying something else changes each chain in one
// swap and leaves the members of other owners where they are. When it fails,
// nothing is left of an attachment that was not there before, and the chains of
// one that was are each the old or the new one.
//
// Dies anywhere: the attachment's index, which is written before any chain is
// touched, tells Remove which ones to look at. Objects that were stored for a chain
// that did not come to be go with a later GC.
func (n *Node) Apply(ctx context.Context, a Attachment) error {
	sides := a.sides()
	r := newResolver(a.Catalog)
	ahead := make(chan struct{})
	go func() {
		defer close(ahead)
		r.readAhead(a.Programs)
	}()
	s, err := openSites(&a, sides)
	<-ahead
	if err != nil {
		return err
	}
	defer s.close()
	wants, err := resolveSides(r, &a, s, sides)
	if err != nil {
		return err
	}
	if err := n.BPFFS.Ensure(); err != nil {
		return err
	}
	before, err := n.attachment(ctx, a.Network, a.ContainerID, a.Ifname)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	hadChain := slices.ContainsFunc(before.Keys, func(key chain.Key) bool { return n.runsFor(ctx, key, a.owner()) })
	if err := n.apply(ctx, &a, s, wants, before.Keys); err != nil {
		if !hadChain {
			undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
			defer cancel()
			err = errors.Join(err, n.Remove(undo, a.Network, a.ContainerID, a.Ifname))
		}
		return err
	}
	return nil
}

// runsFor tells whether an owner, whose index lists the chain, has members in it
// and it runs. What a killed ADD left is no such chain; one whose record cannot be
// read may well be.
func (n *Node) runsFor(ctx context.Context, key chain.Key, owner record.Owner) bool {
	rec, err := n.look(ctx, key)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	return rec.State != nil && slices.ContainsFunc(rec.State.Owners(), owner.Same)
}

// resolveSides settles the members of each side, before anything is changed.
func resolveSides(r *resolver, a *Attachment, s *sites, sides map[config.Side][]config.Program) (map[config.Side][]wanted, error) {
	pod := a.Pod
	if pod.Ifindex == 0 && s != nil {
		pod.Ifindex = s.pod.Index
	}
	if pod.MAC == nil && s != nil {
		pod.MAC = s.pod.HardwareAddr
	}
	wants := make(map[config.Side][]wanted, len(sides))
	for side, programs := range sides {
		list, err := r.resolve(programs, a.owner(), pod)
		if err != nil {
			return nil, err
		}
		if err := checkOrder(list); err != nil {
			return nil, fmt.Errorf("side %s: %w", side, err)
		}
		wants[side] = list
	}
	return wants, nil
}

func (n *Node) apply(ctx context.Context, a *Attachment, s *sites, wants map[config.Side][]wanted, before []chain.Key) error {
	keys := make([]chain.Key, 0, len(s.list))
	for _, site := range s.list {
		keys = append(keys, site.iface.Key())
	}
	index := record.Attachment{Network: a.Network, ContainerID: a.ContainerID, Ifname: a.Ifname}
	for _, key := range slices.Concat(before, keys) {
		if !slices.Contains(index.Keys, key) {
			index.Keys = append(index.Keys, key)
		}
	}
	if len(index.Keys) == 0 {
		return nil
	}
	stored := make(chan error, 1)
	go func() { stored <- n.storeObjects(wants) }()
	if err := errors.Join(n.Records.SaveAttachment(index), <-stored); err != nil {
		return err
	}
	for _, site := range s.list {
		if err := n.applyChain(ctx, a, site, wants[site.side]); err != nil {
			return err
		}
	}
	// Now that each end has what it gets.
	for _, site := range s.list {
		if err := n.checkPeer(ctx, a, site, wants[site.side]); err != nil {
			return err
		}
	}
	return n.leaveOthers(ctx, a, before, keys)
}

// storeObjects keeps the members' objects, each once however many members come
// from it.
func (n *Node) storeObjects(wants map[config.Side][]wanted) error {
	stored := make(map[string]bool)
	for _, list := range wants {
		for _, w := range list {
			if stored[w.object.Digest] {
				continue
			}
			if err := n.Store.Put(w.object); err != nil {
				return err
			}
			stored[w.object.Digest] = true
		}
	}
	return nil
}

// leaveOthers takes the attachment's members off the chains that it had and wants
// no more, and then makes its index say so.
func (n *Node) leaveOthers(ctx context.Context, a *Attachment, before, keys []chain.Key) error {
	left := 0
	for _, key := range before {
		if slices.Contains(keys, key) {
			continue
		}
		if err := n.leave(ctx, key, a.owner()); err != nil {
			return err
		}
		left++
	}
	switch {
	case left == 0:
		return nil
	case len(keys) == 0:
		return n.forget(ctx, a.Network, a.ContainerID, a.Ifname)
	}
	return n.Records.SaveAttachment(record.Attachment{Network: a.Network, ContainerID: a.ContainerID, Ifname: a.Ifname, Keys: keys})
}

// applyChain makes the members wanted the owner's members on one interface.
func (n *Node) applyChain(ctx context.Context, a *Attachment, s site, want []wanted) error {
	t, err := n.hold(ctx, s.iface.Key(), s.iface)
	if err != nil {
		return err
	}
	defer t.release()
	t.pod = a.NetNS
	if t.rec == nil {
		if err := t.mayRecord(a.owner()); err != nil {
			return err
		}
		t.rec = &record.Record{
			Version: record.Version, Key: s.iface.Key(), Interface: s.iface.Name,
			NetNS: s.netns, Side: s.side, Created: time.Now().UTC(),
		}
		if err := t.adopt(a); err != nil {
			return err
		}
	}
	p, err := t.planWith(a, want)
	if err == nil {
		var same bool
		if same, err = t.has(p); same {
			return nil
		}
	}
	if err == nil {
		err = t.change(ctx, p)
	}
	if err != nil && t.rec.State == nil {
		err = errors.Join(err, t.remove(ctx))
	}
	if err != nil {
		return fmt.Errorf("chain on %s (side %s): %w", s.iface.Name, s.side, err)
	}
	return nil
}
