// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/xdp-chain/xdp-chain/internal/errs"
	"github.com/xdp-chain/xdp-chain/internal/files"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Locked is a chain whose lock is held, and the proof of that: whatever changes
// the chain's pins, and elsewhere its record and its interface, wants one. It is
// not for use by several goroutines at once.
type Locked struct {
	key chain.Key
	folder
}

// Lock locks a chain, whose folder it makes where there is none. [Tree.Ensure]
// must have succeeded before. While somebody else has the lock it waits, as long as ctx
// allows, and then returns a [*LockedError] that names the holder.
//
// A process that dies with the lock frees it.
func (t Tree) Lock(ctx context.Context, key chain.Key) (*Locked, error) {
	return t.lock(key, true, waitUntil(ctx))
}

// TryLock locks a chain that has a folder; otherwise the error satisfies
// errors.Is(err, [fs.ErrNotExist]). If somebody else has the lock, it returns a
// [*LockedError] at once.
func (t Tree) TryLock(key chain.Key) (*Locked, error) {
	return t.lock(key, false, tryLock)
}

func (t Tree) lock(key chain.Key, create bool, lock locker) (*Locked, error) {
	f, err := lockFolder(t.chain(key), create, "chain "+key.String(), lock)
	if err != nil {
		return nil, err
	}
	return &Locked{key: key, folder: f}, nil
}

// Key returns the key of the locked chain.
func (l *Locked) Key() chain.Key { return l.key }

// Holds tells whether this is the lock of the given chain, and still held.
func (l *Locked) Holds(key chain.Key) bool { return l.dir != nil && l.key == key }

func (l *Locked) linkPath() string { return filepath.Join(l.path, linkName) }

// PinLink pins the link that holds the chain. A pin of an earlier link is
// replaced: an interface carries one XDP link at most, so the earlier one has
// come off when there is a new one.
//
// A process that dies right before this has not attached anything, as the kernel
// detaches a link nobody holds. One that dies right after it leaves a chain that
// runs until somebody removes the pin.
func (l *Locked) PinLink(k link.Link) error {
	if err := l.held(); err != nil {
		return err
	}
	if err := files.Remove(l.linkPath()); err != nil {
		return fmt.Errorf("remove the pin of an earlier link: %w", err)
	}
	return errs.Wrapf(k.Pin(l.linkPath()), "pin link at %s", l.linkPath())
}

// OpenLink opens the chain's link. Without one the error satisfies
// errors.Is(err, [fs.ErrNotExist]).
func (l *Locked) OpenLink() (link.Link, error) {
	if err := l.held(); err != nil {
		return nil, err
	}
	return openLink(l.linkPath(), l.key)
}

// Clear takes the chain down as far as it is pinned: link, links of members, maps
// and counters. A chain without a link of its own must be off its interface: its
// members stop to run with their links, and its dispatcher would pass everything. The
// folder stays, with its lock, so that the caller can forget the chain before
// anybody else gets it; [Locked.Unlock] removes the folder then.
//
// The link goes first. A process that dies right after that leaves an interface
// without a chain and pins that nothing uses, which the next Clear finishes; were
// the link last, it could leave a chain that decides over packets and whose
// counters and maps nobody can see any more.
func (l *Locked) Clear() error {
	if err := l.held(); err != nil {
		return err
	}
	if err := files.Remove(l.linkPath()); err != nil {
		return fmt.Errorf("remove the pinned link of chain %s: %w", l.key, err)
	}
	return errs.Wrapf(l.clear(), "remove the pins of chain %s", l.key)
}

// Busy tells whether somebody holds the lock of a chain at this moment. No folder is
// nobody. It changes nothing, not even what a taken and given lock would: an empty folder
// stays.
func (t Tree) Busy(key chain.Key) (bool, error) { return busy(t.chain(key)) }

// HasUnfinishedPins tells whether a chain's folder has something of a generation that is
// being staged or made the chain's: by the holder of the lock, or by one that died. It
// needs no lock and changes nothing.
func (t Tree) HasUnfinishedPins(key chain.Key) (bool, error) {
	paths, err := entriesWith(t.chain(key), partPrefix, nextPrefix, settlePrefix)
	return len(paths) > 0, errs.Wrapf(err, "look at the pins of chain %s", key)
}

// NodeLocked is a network whose node-scoped maps are locked: the maps that all
// pods of the network on this node share. It is not for use by several goroutines
// at once.
type NodeLocked struct {
	network string
	folder
}

// LockNode locks the maps of a network, whose folder it makes where there is
// none. [Tree.Ensure] must have succeeded before. While somebody else has the lock it
// waits, as long as ctx allows, and then returns a [*LockedError] that names the
// holder. A network name that cannot stand on bpffs is an error that satisfies
// errors.Is(err, [chain.ErrInvalid]).
//
// Whoever takes both kinds of lock takes the chain's first.
//
// A process that dies with the lock frees it.
func (t Tree) LockNode(ctx context.Context, network string) (*NodeLocked, error) {
	name, err := entryName(network)
	if err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	f, err := lockFolder(filepath.Join(t.node(), name), true, fmt.Sprintf("maps of network %q", network), waitUntil(ctx))
	if err != nil {
		return nil, err
	}
	return &NodeLocked{network: network, folder: f}, nil
}

// pin returns where a map of the network is pinned, as long as the lock is held.
func (n *NodeLocked) pin(name string) (string, error) {
	if err := n.held(); err != nil {
		return "", err
	}
	entry, err := entryName(name)
	return filepath.Join(n.path, entry), errs.Wrapf(err, "map of network %q", n.network)
}

// Open opens a map of the network. Without one of that name the error satisfies
// errors.Is(err, [fs.ErrNotExist]).
func (n *NodeLocked) Open(name string) (*ebpf.Map, error) {
	path, err := n.pin(name)
	if err != nil {
		return nil, err
	}
	m, err := ebpf.LoadPinnedMap(path, nil)
	return m, errs.Wrapf(err, "open the pinned map %q of network %q", name, n.network)
}

// Pin pins a map of the network. One that is there already is an error that
// satisfies errors.Is(err, [fs.ErrExist]).
//
// A process that dies right after this leaves a map that the network's next pod
// uses, and that goes when the network's last one does.
func (n *NodeLocked) Pin(name string, m *ebpf.Map) error {
	if err := n.held(); err != nil {
		return err
	}
	return errs.Wrapf(pinCopy(m, n.path, name), "network %q", n.network)
}

// Unpin takes back a pin made under this lock: nobody else has seen it. One
// that is not there is no error.
func (n *NodeLocked) Unpin(name string) error {
	path, err := n.pin(name)
	if err != nil {
		return err
	}
	return errs.Wrapf(files.Remove(path), "unpin map %q of network %q", name, n.network)
}

// Remove removes all maps of the network and gives the lock up. On an error the
// lock is still held. A process that dies in here leaves some of the maps for the
// next Remove.
func (n *NodeLocked) Remove() error {
	if err := n.held(); err != nil {
		return err
	}
	if err := n.clear(); err != nil {
		return fmt.Errorf("remove the pinned maps of network %q: %w", n.network, err)
	}
	return n.Unlock()
}

// NodeBusy tells whether somebody holds the lock on a network's maps at this moment. It
// changes nothing, as [Tree.Busy] does not.
func (t Tree) NodeBusy(network string) (bool, error) {
	name, err := entryName(network)
	if err != nil {
		return false, nil // it can have no folder
	}
	return busy(filepath.Join(t.node(), name))
}
