// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// Sweep looks at up to limit chains, chosen anew each time, and removes those
// whose interface is gone and what killed processes left of chains that never
// came to run. It waits for no lock of a chain: one that somebody works on is passed over.
func (n *Node) Sweep(ctx context.Context, limit int) error {
	keys, err := n.Dead(limit)
	return errors.Join(err, n.Bury(ctx, keys))
}

// Dead returns those of up to limit chains, chosen anew each time, that look as if
// nobody would miss them. It changes nothing, so a process may end while it looks: to
// ask the kernel about a link is to wait for RTNL, which other pods' attachments hold
// over a grace period each. Chains that it could not look at are in the error.
func (n *Node) Dead(limit int) ([]chain.Key, error) {
	keys, err := n.keys()
	if err != nil {
		return nil, err
	}
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	var dead []chain.Key
	var errs []error
	for _, key := range keys[:min(limit, len(keys))] {
		seems, err := n.seemsDead(key)
		if err != nil {
			errs = append(errs, fmt.Errorf("look at chain %s: %w", key, err))
		} else if seems {
			dead = append(dead, key)
		}
	}
	return dead, errors.Join(errs...)
}

// seemsDead tells whether a chain has no link that holds it on an interface, and
// nobody works on it either, which those do who are about to make that link.
func (n *Node) seemsDead(key chain.Key) (bool, error) {
	if alive, err := n.linkAlive(key); alive || err != nil {
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

// Bury removes those of the chains that are dead indeed, as [Node.Sweep] does.
func (n *Node) Bury(ctx context.Context, keys []chain.Key) error {
	var errs []error
	for _, key := range keys {
		if err := n.sweep(ctx, key); err != nil {
			errs = append(errs, fmt.Errorf("sweep chain %s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

// keys lists the chains that have a record or a folder of pins.
func (n *Node) keys() ([]chain.Key, error) {
	recorded, err := n.Records.Keys()
	if err != nil {
		return nil, err
	}
	pinned, err := n.BPFFS.Keys()
	if err != nil {
		return nil, err
	}
	keys := slices.Concat(recorded, pinned)
	slices.SortFunc(keys, compareKeys)
	return slices.Compact(keys), nil
}

func (n *Node) sweep(ctx context.Context, key chain.Key) error {
	t, err := n.tryHold(ctx, key)
	if t == nil || err != nil {
		return err
	}
	defer t.release()
	if dead, err := t.dead(); err != nil || !dead {
		return err
	}
	owners := t.owners()
	now, cancel := context.WithCancel(ctx)
	cancel()
	err = t.remove(now)
	if errors.Is(err, pin.ErrLocked) {
		return nil // somebody works on libxdp's tree
	}
	if err != nil {
		return err
	}
	return errors.Join(n.forgetDead(ctx, owners), n.dropHandMapsOf(now, owners))
}

// linkAlive tells at the cost of three system calls, and without the lock,
// whether a bpf_link still holds the chain on its interface.
func (n *Node) linkAlive(key chain.Key) (bool, error) {
	l, err := n.BPFFS.OpenLink(key)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer l.Close()
	ifindex, err := netdev.LinkIfindex(l)
	return ifindex != 0, err
}

// dead tells whether the chain can be taken away without anybody missing it: its
// interface is gone, or it never came to run. A chain whose record was set aside
// is dead when its link has lost its interface, or when there is no link.
func (t *tenure) dead() (bool, error) {
	alive, err := t.node.linkAlive(t.lock.Key())
	if alive || err != nil {
		return false, err
	}
	if t.rec == nil || t.rec.State == nil || t.iface == nil {
		return true, nil
	}
	return t.node.leftToLibxdp(t.rec, t.iface)
}

// leftToLibxdp tells whether our members have left a libxdp chain, and libxdp's tools
// have taken theirs off since.
func (n *Node) leftToLibxdp(rec *record.Record, iface *netdev.Interface) (bool, error) {
	if rec.State == nil || len(rec.State.Members) > 0 || rec.State.Dispatcher != chain.DispatcherLibxdp {
		return false, nil
	}
	found, err := n.findLibxdp(rec, iface)
	found.close()
	return found == nil && err == nil, err
}

func (t *tenure) owners() []record.Owner {
	if t.rec == nil || t.rec.State == nil {
		return nil
	}
	return t.rec.State.Owners()
}

// forgetDead removes the indexes of attachments of which no chain is left.
func (n *Node) forgetDead(ctx context.Context, owners []record.Owner) error {
	var errs []error
	for _, o := range owners {
		index, err := n.Records.LoadAttachment(o.Network, o.ContainerID, o.Ifname)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		left := err == nil && slices.ContainsFunc(index.Keys, func(key chain.Key) bool {
			_, err := n.look(ctx, key)
			return !errors.Is(err, fs.ErrNotExist)
		})
		if err == nil && !left {
			err = n.forget(ctx, o.Network, o.ContainerID, o.Ifname)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func compareKeys(a, b chain.Key) int {
	return cmp.Or(cmp.Compare(a.Cookie, b.Cookie), cmp.Compare(a.Ifindex, b.Ifindex))
}
