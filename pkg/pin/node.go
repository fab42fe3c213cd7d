// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
)

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

// Open opens a map of the network. Without one of that name the error satisfies
// errors.Is(err, [fs.ErrNotExist]).
func (n *NodeLocked) Open(name string) (*ebpf.Map, error) {
	if err := n.held(); err != nil {
		return nil, err
	}
	entry, err := entryName(name)
	if err != nil {
		return nil, fmt.Errorf("map of network %q: %w", n.network, err)
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(n.path, entry), nil)
	if err != nil {
		return nil, fmt.Errorf("open the pinned map %q of network %q: %w", name, n.network, err)
	}
	return m, nil
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
	if err := pinCopy(m, n.path, name); err != nil {
		return fmt.Errorf("network %q: %w", n.network, err)
	}
	return nil
}

// Unpin takes back a pin made under this lock: nobody else has seen it. One
// that is not there is no error.
func (n *NodeLocked) Unpin(name string) error {
	if err := n.held(); err != nil {
		return err
	}
	entry, err := entryName(name)
	if err != nil {
		return fmt.Errorf("map of network %q: %w", n.network, err)
	}
	if err := os.Remove(filepath.Join(n.path, entry)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unpin map %q of network %q: %w", name, n.network, err)
	}
	return nil
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
