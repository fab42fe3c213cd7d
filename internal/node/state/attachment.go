// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// AttachmentIndex reads an attachment's index. One that is broken is set aside, and
// the chains' records then tell what it held. What is not there satisfies
// errors.Is(err, fs.ErrNotExist).
func (n *Node) AttachmentIndex(ctx context.Context, owner record.Owner) (record.Attachment, error) {
	index, err := n.Records.LoadAttachment(owner.Network, owner.ContainerID, owner.Ifname)
	if !errors.Is(err, record.ErrBroken) {
		return index, err
	}
	slog.WarnContext(ctx, "an attachment's index was set aside", "error", err)
	index = record.Attachment{Network: owner.Network, ContainerID: owner.ContainerID, Ifname: owner.Ifname}
	keys, err := n.Records.Keys()
	if err != nil {
		return index, err
	}
	for _, key := range keys {
		if rec, err := n.Look(ctx, key); err == nil && rec.HasOwner(owner) {
			index.Keys = append(index.Keys, key)
		}
	}
	return index, nil
}

// ClaimedByOther tells whether an attachment other than the given one lists the chain.
// It is for chains whose record is broken.
func (n *Node) ClaimedByOther(key chain.Key, except record.Owner) (bool, error) {
	networks, err := n.Records.Networks()
	if err != nil {
		return false, err
	}
	for _, network := range networks {
		attachments, err := n.Records.Attachments(network)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		for _, a := range attachments {
			if slices.Contains(a.Keys, key) && !a.Owner().Same(except) {
				return true, nil
			}
		}
	}
	return false, nil
}

// RemoveIndex removes an attachment's index and, with the network's last one, the maps
// that its pods shared. Dies in between: the next attachment of the network that
// goes, or the next GC, removes the maps.
func (n *Node) RemoveIndex(ctx context.Context, owner record.Owner) error {
	if err := n.Records.RemoveAttachment(owner.Network, owner.ContainerID, owner.Ifname); err != nil {
		return err
	}
	return n.DropNodeMaps(ctx, owner.Network)
}

// RemoveDeadIndexes removes the indexes of attachments of which no chain is left.
func (n *Node) RemoveDeadIndexes(ctx context.Context, owners []record.Owner) error {
	var errs []error
	for _, o := range owners {
		index, err := n.Records.LoadAttachment(o.Network, o.ContainerID, o.Ifname)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		left := err == nil && slices.ContainsFunc(index.Keys, func(key chain.Key) bool {
			_, err := n.Look(ctx, key)
			return !errors.Is(err, fs.ErrNotExist)
		})
		if err == nil && !left {
			err = n.RemoveIndex(ctx, o)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ManualNetwork is what stands for a network where members that were put into chains by
// hand share maps. No network of CNI can have the name.
const ManualNetwork = "_cli"

// MapsNetwork is the network among whose members an owner's share maps.
func MapsNetwork(owner record.Owner) string {
	if owner.Kind == record.OwnerCLI {
		return ManualNetwork
	}
	return owner.Network
}

// DropNodeMaps removes the maps of a network that has no attachment. An ADD that
// comes in between has written its index before it asks for the lock, so it either
// is seen here or makes the maps anew.
func (n *Node) DropNodeMaps(ctx context.Context, network string) error {
	networks, err := n.BPFFS.Networks()
	if err != nil || !slices.Contains(networks, network) {
		return err
	}
	if used, err := n.Records.HasAttachments(network); err != nil || used {
		return err
	}
	lock, err := n.BPFFS.LockNode(ctx, network)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if used, err := n.Records.HasAttachments(network); err != nil || used {
		return err
	}
	return lock.Remove()
}

// DropManualMaps removes the maps that members put into chains by hand shared, with the last
// of them. A load that relies on them holds their lock until it is recorded.
func (n *Node) DropManualMaps(ctx context.Context) error {
	networks, err := n.BPFFS.Networks()
	if err != nil || !slices.Contains(networks, ManualNetwork) {
		return err
	}
	lock, err := n.BPFFS.LockNode(ctx, ManualNetwork)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	keys, err := n.Records.Keys()
	if err != nil {
		return err
	}
	for _, key := range keys {
		rec, err := n.Look(ctx, key)
		if err == nil && rec.HasOwner(ManualOwner) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return lock.Remove()
}

// DropManualMapsOf is DropManualMaps after a chain with such owners went, or may have gone. It
// waits as long as ctx allows, and leaves the maps to the next one who looks where that is
// too short: a DEL does not fail for that.
func (n *Node) DropManualMapsOf(ctx context.Context, owners []record.Owner) error {
	if !slices.ContainsFunc(owners, ManualOwner.Same) {
		return nil
	}
	err := n.DropManualMaps(ctx)
	if errors.Is(err, pin.ErrLocked) {
		return nil
	}
	return err
}

// UnusedObjectAge is how long an object stays in the store that no chain has as a
// member: longer than any ADD needs from storing it to recording it.
const UnusedObjectAge = time.Hour

// PruneStore drops the objects that no chain has as a member.
func (n *Node) PruneStore() error {
	keys, err := n.Records.Keys()
	if err != nil {
		return err
	}
	needed, err := n.neededObjects(keys)
	if err != nil {
		return err
	}
	return n.Store.Prune(needed, UnusedObjectAge)
}

// neededObjects returns the digests of the chains' objects. A record that cannot be
// read is an error: what that one needs is not known. One that was removed since the
// keys were listed needs nothing.
func (n *Node) neededObjects(keys []chain.Key) (map[string]bool, error) {
	needed := make(map[string]bool)
	for _, key := range keys {
		rec, err := n.Records.Load(key)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find out which objects are needed: %w", err)
		}
		AddObjects(needed, rec)
	}
	return needed, nil
}

// AddObjects adds the digests of a chain's objects.
func AddObjects(needed map[string]bool, rec *record.Record) {
	for _, s := range rec.States() {
		for _, m := range s.Members {
			needed[m.Object] = true
		}
	}
}
