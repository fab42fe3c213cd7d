// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// attachment reads an attachment's index. One that is broken is set aside, and
// the chains' records then tell what it held. What is not there satisfies
// errors.Is(err, fs.ErrNotExist).
func (n *Node) attachment(ctx context.Context, network, containerID, ifname string) (record.Attachment, error) {
	index, err := n.Records.LoadAttachment(network, containerID, ifname)
	if !errors.Is(err, record.ErrBroken) {
		return index, err
	}
	slog.WarnContext(ctx, "an attachment's index was set aside", "error", err)
	index = record.Attachment{Network: network, ContainerID: containerID, Ifname: ifname}
	owner := record.Owner{Kind: record.OwnerAttachment, Network: network, ContainerID: containerID, Ifname: ifname}
	keys, err := n.Records.Keys()
	if err != nil {
		return index, err
	}
	for _, key := range keys {
		if rec, err := n.look(ctx, key); err == nil && hasOwner(rec, owner) {
			index.Keys = append(index.Keys, key)
		}
	}
	return index, nil
}

// look reads a record without its chain's lock. One that cannot be read it reports,
// as nobody meets a broken one a second time.
func (n *Node) look(ctx context.Context, key chain.Key) (*record.Record, error) {
	rec, err := n.Records.Load(key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		slog.WarnContext(ctx, "a chain's record cannot be read", "error", err)
	}
	return rec, err
}

func hasOwner(rec *record.Record, owner record.Owner) bool {
	for _, s := range rec.States() {
		if slices.ContainsFunc(s.Owners(), owner.Same) {
			return true
		}
	}
	return false
}

// forget removes an attachment's index and, with the network's last one, the maps
// that its pods shared. Dies in between: the next attachment of the network that
// goes, or the next GC, removes the maps.
func (n *Node) forget(ctx context.Context, network, containerID, ifname string) error {
	if err := n.Records.RemoveAttachment(network, containerID, ifname); err != nil {
		return err
	}
	return n.dropNodeMaps(ctx, network)
}

// dropNodeMaps removes the maps of a network that has no attachment. An ADD that
// comes in between has written its index before it asks for the lock, so it either
// is seen here or makes the maps anew.
func (n *Node) dropNodeMaps(ctx context.Context, network string) error {
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

// dropHandMaps removes the maps that members put into chains by hand shared, with the last
// of them. A [Node.Load] that relies on them holds their lock until it is recorded.
func (n *Node) dropHandMaps(ctx context.Context) error {
	networks, err := n.BPFFS.Networks()
	if err != nil || !slices.Contains(networks, handNetwork) {
		return err
	}
	lock, err := n.BPFFS.LockNode(ctx, handNetwork)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	keys, err := n.Records.Keys()
	if err != nil {
		return err
	}
	for _, key := range keys {
		rec, err := n.look(ctx, key)
		if err == nil && hasOwner(rec, byHand) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return lock.Remove()
}

// dropHandMapsOf is dropHandMaps after a chain with such owners went, or may have gone. It
// waits as long as ctx allows, and leaves the maps to the next one who looks where that is
// too short: a DEL does not fail for that.
func (n *Node) dropHandMapsOf(ctx context.Context, owners []record.Owner) error {
	if !slices.ContainsFunc(owners, byHand.Same) {
		return nil
	}
	err := n.dropHandMaps(ctx)
	if errors.Is(err, pin.ErrLocked) {
		return nil
	}
	return err
}

// claimed tells whether an attachment other than the given one lists the chain.
// It is for chains whose record is broken.
func (n *Node) claimed(key chain.Key, except record.Owner) (bool, error) {
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
			owner := record.Owner{Kind: record.OwnerAttachment, Network: a.Network, ContainerID: a.ContainerID, Ifname: a.Ifname}
			if slices.Contains(a.Keys, key) && !owner.Same(except) {
				return true, nil
			}
		}
	}
	return false, nil
}
