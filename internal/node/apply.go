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
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// Node is the chains of one node, and what changes them. What only looks at them is in the
// packages inspect and doctor, which take the [state.Node] in it. Its methods may be called
// from many processes at once.
type Node struct{ *state.Node }

// Default returns the node with the paths that the plugin and xdpctl share.
func Default() *Node { return &Node{state.Default()} }

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
func (n *Node) Apply(ctx context.Context, a resolve.Attachment) error {
	sides := a.Sides()
	r := resolve.NewResolver(a.Catalog)
	ahead := make(chan struct{})
	go func() {
		defer close(ahead)
		r.ReadAhead(a.Programs)
	}()
	t, err := openTargets(&a, sides)
	<-ahead
	if err != nil {
		return err
	}
	defer t.close()
	if a.Pod.Ifindex == 0 {
		a.Pod.Ifindex = t.pod.Index
	}
	if a.Pod.MAC == nil {
		a.Pod.MAC = t.pod.HardwareAddr
	}
	members, err := r.Sides(&a)
	if err != nil {
		return err
	}
	if err := n.BPFFS.Ensure(); err != nil {
		return err
	}
	before, err := n.AttachmentIndex(ctx, a.Owner)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	hadChain := slices.ContainsFunc(before.Keys, func(key chain.Key) bool { return n.runsFor(ctx, key, a.Owner) })
	if err := n.apply(ctx, &a, t, members, before.Keys); err != nil {
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
	rec, err := n.Look(ctx, key)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	return rec.State != nil && slices.ContainsFunc(rec.State.Owners(), owner.Same)
}

func (n *Node) apply(ctx context.Context, a *resolve.Attachment, t *targets, members map[config.Side][]resolve.Member, before []chain.Key) error {
	keys := make([]chain.Key, 0, len(t.list))
	for _, target := range t.list {
		keys = append(keys, target.Interface.Key())
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
	go func() { stored <- n.storeObjects(members) }()
	if err := errors.Join(n.Records.SaveAttachment(index), <-stored); err != nil {
		return err
	}
	for _, target := range t.list {
		if err := change.SetMembers(ctx, n.Node, a, target, members[target.Side]); err != nil {
			return err
		}
	}
	// Now that each end has what it gets.
	for _, target := range t.list {
		if err := change.CheckPeer(ctx, n.Node, a, target, members[target.Side]); err != nil {
			return err
		}
	}
	return n.leaveOthers(ctx, a, before, keys)
}

// storeObjects keeps the members' objects, each once however many members come
// from it.
func (n *Node) storeObjects(members map[config.Side][]resolve.Member) error {
	stored := make(map[string]bool)
	for _, list := range members {
		for _, m := range list {
			if stored[m.Object.Digest] {
				continue
			}
			if err := n.Store.Put(m.Object); err != nil {
				return err
			}
			stored[m.Object.Digest] = true
		}
	}
	return nil
}

// leaveOthers takes the attachment's members off the chains that it had and wants
// no more, and then makes its index say so.
func (n *Node) leaveOthers(ctx context.Context, a *resolve.Attachment, before, keys []chain.Key) error {
	left := 0
	for _, key := range before {
		if slices.Contains(keys, key) {
			continue
		}
		if err := change.RemoveOwner(ctx, n.Node, key, a.Owner); err != nil {
			return err
		}
		left++
	}
	switch {
	case left == 0:
		return nil
	case len(keys) == 0:
		return n.RemoveIndex(ctx, a.Owner)
	}
	return n.Records.SaveAttachment(record.Attachment{Network: a.Network, ContainerID: a.ContainerID, Ifname: a.Ifname, Keys: keys})
}

// targets are the ends of one pod's veth pair that get a chain, and the open
// namespaces they lie in.
type targets struct {
	list   []change.AttachTarget // pod before host
	pod    *netdev.Interface
	opened []*netdev.NetNS
}

func (t *targets) close() {
	for _, ns := range t.opened {
		ns.Close()
	}
}

// openTargets finds the interfaces of an attachment for the given sides. The pod's
// interface has to be there even if no program is for it.
func openTargets(a *resolve.Attachment, sides map[config.Side][]config.Program) (*targets, error) {
	t := &targets{}
	podNS, err := netdev.OpenNetNS(a.NetNS)
	if err != nil {
		return nil, err
	}
	t.opened = append(t.opened, podNS)
	if t.pod, err = podNS.InterfaceByName(a.Ifname); err != nil {
		t.close()
		return nil, err
	}
	if len(sides[config.PodSide]) > 0 {
		t.list = append(t.list, change.AttachTarget{Interface: t.pod, Side: config.PodSide, NetNS: a.NetNS})
	}
	if len(sides[config.HostSide]) > 0 {
		if err := t.addPeer(); err != nil {
			t.close()
			return nil, err
		}
	}
	return t, nil
}

func (t *targets) addPeer() error {
	host, err := netdev.CurrentNetNS()
	if err != nil {
		return err
	}
	t.opened = append(t.opened, host)
	peer, err := t.pod.Peer(host)
	if err != nil {
		return fmt.Errorf("side host of %s: %w", t.pod.Name, err)
	}
	t.list = append(t.list, change.AttachTarget{Interface: peer, Side: config.HostSide, NetNS: host.Path()})
	return nil
}

// Check compares what the attachment wants with what is recorded, and what is
// recorded with what the kernel runs. It returns every difference that it finds,
// joined; each satisfies errors.Is(err, [state.ErrDiffers]). A process that died in the
// middle of a change does not count as one: the chain is recovered first.
func (n *Node) Check(ctx context.Context, a resolve.Attachment) error {
	sides := a.Sides()
	t, err := openTargets(&a, sides)
	if err != nil {
		return fmt.Errorf("%w: %w", state.ErrDiffers, err)
	}
	defer t.close()
	errs := []error{n.checkIndex(ctx, &a, t)}
	for _, target := range t.list {
		errs = append(errs, change.Check(ctx, n.Node, &a, target, sides[target.Side]))
	}
	return errors.Join(errs...)
}

// checkIndex says which chains the attachment is in that its configuration does
// not want: those of a side that it had programs for when it was added.
func (n *Node) checkIndex(ctx context.Context, a *resolve.Attachment, t *targets) error {
	index, err := n.AttachmentIndex(ctx, a.Owner)
	if errors.Is(err, fs.ErrNotExist) { // its chains are missed one by one
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, key := range index.Keys {
		wanted := slices.ContainsFunc(t.list, func(target change.AttachTarget) bool { return target.Interface.Key() == key })
		if !wanted && n.runsFor(ctx, key, a.Owner) {
			errs = append(errs, fmt.Errorf("%w: the attachment has members in chain %s, where its configuration has none", state.ErrDiffers, key))
		}
	}
	return errors.Join(errs...)
}
