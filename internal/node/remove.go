// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Remove takes an attachment's members off its chains, and takes a chain down
// with its last owner. It needs nothing but the three names and the records: no
// namespace, no interface, no configuration. What is gone already is fine, so it
// can be repeated. Its errors are those that a retry can mend: a lock not got in
// time, a full file system.
//
// Dies anywhere: the index is removed after the chains, so the next Remove finds
// the rest.
func (n *Node) Remove(ctx context.Context, network, containerID, ifname string) error {
	index, err := n.attachment(ctx, network, containerID, ifname)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Without an index there are no chains, but what a process left that was killed
	// as it wrote or removed the index.
	owner := record.Owner{Kind: record.OwnerAttachment, Network: network, ContainerID: containerID, Ifname: ifname}
	var errs []error
	for _, key := range index.Keys {
		errs = append(errs, n.leave(ctx, key, owner))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return n.forget(ctx, network, containerID, ifname)
}

// leave takes the owner's members out of one chain.
func (n *Node) leave(ctx context.Context, key chain.Key, owner record.Owner) error {
	t, err := n.hold(ctx, key, nil)
	if err != nil {
		return err
	}
	defer t.release()
	owners := t.owners()
	if err := t.leave(ctx, owner); err != nil {
		return fmt.Errorf("chain %s: %w", key, err)
	}
	return n.dropHandMapsOf(ctx, owners) // with the interface go all members
}

func (t *tenure) leave(ctx context.Context, owner record.Owner) error {
	if t.rec == nil {
		return t.leaveUnrecorded(ctx, owner)
	}
	return untilNotRaced(func() error { return t.leaveRecorded(ctx, owner) })
}

// untilNotRaced takes members off, or a chain down, again where others were faster.
func untilNotRaced(take func() error) error {
	for try := 1; ; try++ {
		err := take()
		if !errors.As(err, new(racedError)) || try == leaveTries {
			return err
		}
	}
}

// leaveTries bounds how often it is looked again whether the chain is to be taken down
// or changed, since others joined it as it was taken down. A change by itself is made
// again often enough.
const leaveTries = 3

func (t *tenure) leaveRecorded(ctx context.Context, owner record.Owner) error {
	if t.rec.State == nil || t.iface == nil {
		return t.remove(ctx)
	}
	shared, err := t.sharedWithLibxdp()
	if err != nil {
		return err
	}
	if onlyOwner(t.rec.State.Owners(), owner) && !shared {
		return t.remove(ctx)
	}
	if !hasOwner(t.rec, owner) {
		return nil
	}
	p, err := t.planWithout(owner)
	if err == nil {
		err = t.change(ctx, p)
	}
	if errors.Is(err, errNobodyLeft) {
		return t.remove(ctx)
	}
	if err == nil || ctx.Err() != nil || errors.As(err, new(racedError)) {
		return err
	}
	// The others' members cannot be built again, and no retry will mend that. The
	// chain goes on as it is, in the hands of those who are left, and with the last
	// of them it goes.
	slog.WarnContext(ctx, "a chain keeps the members of an owner that left, as it cannot be rebuilt without them", "chain", t.rec.Key.String(), "error", err)
	return t.bequeath(owner)
}

// sharedWithLibxdp tells whether members of libxdp's tools are in the chain, which are
// theirs to take off.
func (t *tenure) sharedWithLibxdp() (bool, error) {
	if !t.hasLibxdp() {
		return false, nil
	}
	found, err := t.node.findLibxdp(t.rec, t.iface)
	if err != nil {
		return false, err
	}
	defer found.close()
	return len(found.others()) > 0, nil
}

// bequeath gives an owner's members to one of the others. Where those are libxdp's
// tools, the record keeps the owner: the members go with the interface.
func (t *tenure) bequeath(owner record.Owner) error {
	members := t.rec.State.Members
	heir := slices.IndexFunc(members, func(m record.Member) bool { return !m.Owner.Same(owner) })
	if heir < 0 {
		return nil
	}
	for i, m := range members {
		if m.Owner.Same(owner) {
			members[i].Owner = members[heir].Owner
		}
	}
	return t.node.Records.Save(t.lock, t.rec)
}

// leaveUnrecorded deals with a chain that has no record: none was written yet, it
// was the last thing to go, or it was broken. In the last case the attachments
// tell whether somebody else needs the chain.
func (t *tenure) leaveUnrecorded(ctx context.Context, owner record.Owner) error {
	claimed, err := t.node.claimed(t.lock.Key(), owner)
	if err != nil || claimed {
		return err
	}
	return t.remove(ctx)
}

func onlyOwner(owners []record.Owner, owner record.Owner) bool {
	for _, o := range owners {
		if !o.Same(owner) {
			return false
		}
	}
	return true
}
