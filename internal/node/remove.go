// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
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
	owner := record.Owner{Network: network, ContainerID: containerID, Ifname: ifname}
	index, err := n.AttachmentIndex(ctx, owner)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Without an index there are no chains, but what a process left that was killed
	// as it wrote or removed the index.
	var errs []error
	for _, key := range index.Keys {
		errs = append(errs, change.RemoveOwner(ctx, n.Node, key, owner))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return n.RemoveIndex(ctx, owner)
}

// Ref names an attachment within its network, as cni.dev/valid-attachments does.
type Ref struct {
	ContainerID, Ifname string
}

// GC removes the network's attachments that are not valid. Where it is not known
// which ones are, it removes those alone whose chains are all dead: interface or
// namespace gone. It also sweeps all chains of the node, and drops objects from
// the store that no chain needs. It goes on past errors and returns them joined.
func (n *Node) GC(ctx context.Context, network string, valid []Ref, known bool) error {
	var errs []error
	attachments, err := n.Records.Attachments(network)
	errs = append(errs, err)
	for _, a := range attachments {
		if known && slices.Contains(valid, Ref{a.ContainerID, a.Ifname}) {
			continue
		}
		if err := n.collect(ctx, a, known); err != nil {
			errs = append(errs, fmt.Errorf("attachment of container %s, %s: %w", a.ContainerID, a.Ifname, err))
		}
	}
	keys, err := n.Keys()
	errs = append(errs, err, n.Sweep(ctx, len(keys)), n.DropNodeMaps(ctx, network), n.PruneStore())
	return errors.Join(errs...)
}

// collect removes an attachment: in any case where it is known not to be valid,
// otherwise when it is dead.
func (n *Node) collect(ctx context.Context, a record.Attachment, invalid bool) error {
	for _, key := range a.Keys {
		if invalid {
			break
		}
		lc, err := change.Lock(ctx, n.Node, key, nil)
		if err != nil {
			return err
		}
		stale, err := lc.Stale()
		lc.Unlock()
		if err != nil || !stale {
			return err
		}
	}
	return n.Remove(ctx, a.Network, a.ContainerID, a.Ifname)
}

// Sweep looks at up to limit chains, chosen anew each time, and removes those
// whose interface is gone and what killed processes left of chains that never
// came to run. It waits for no lock of a chain: one that somebody works on is passed over.
func (n *Node) Sweep(ctx context.Context, limit int) error {
	keys, err := n.FindStale(limit)
	return errors.Join(err, n.RemoveStale(ctx, keys))
}

// FindStale returns those of up to limit chains, chosen anew each time, that look as if
// nobody would miss them. It changes nothing, so a process may end while it looks: to
// ask the kernel about a link is to wait for RTNL, which other pods' attachments hold
// over a grace period each. Chains that it could not look at are in the error.
func (n *Node) FindStale(limit int) ([]chain.Key, error) {
	keys, err := n.Keys()
	if err != nil {
		return nil, err
	}
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	var stale []chain.Key
	var errs []error
	for _, key := range keys[:min(limit, len(keys))] {
		seems, err := n.seemsStale(key)
		if err != nil {
			errs = append(errs, fmt.Errorf("look at chain %s: %w", key, err))
		} else if seems {
			stale = append(stale, key)
		}
	}
	return stale, errors.Join(errs...)
}

// seemsStale tells whether a chain has no link that holds it on an interface, and
// nobody works on it either, which those do who are about to make that link.
func (n *Node) seemsStale(key chain.Key) (bool, error) {
	if alive, err := n.LinkAlive(key); alive || err != nil {
		return false, err
	}
	lock, err := n.BPFFS.TryLock(key)
	switch {
	case errors.Is(err, fs.ErrNotExist): // a record alone
		return true, nil
	case errors.Is(err, pin.ErrLocked):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, lock.Unlock()
}

// RemoveStale removes those of the chains that are dead indeed, as [Node.Sweep] does.
func (n *Node) RemoveStale(ctx context.Context, keys []chain.Key) error {
	var errs []error
	for _, key := range keys {
		if err := change.RemoveStale(ctx, n.Node, key); err != nil {
			errs = append(errs, fmt.Errorf("sweep chain %s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}
