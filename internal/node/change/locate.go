// SPDX-License-Identifier: Apache-2.0

package change

import (
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// An interface that an operator puts a chain on need not stay where it is, as a pod's does:
// the recorded path of its namespace may be a process's that ends before others in there,
// and it may be moved to another namespace with all that is on it.

// seek looks for the interface of a chain in every network namespace that can be found. It
// stays nil where the interface is gone.
func (lc *LockedChain) seek() error {
	if elsewhere, err := lc.mayBeElsewhere(); !elsewhere || err != nil {
		return err
	}
	paths, err := netdev.Namespaces()
	if err != nil {
		return err
	}
	for _, path := range paths {
		if lc.iface, err = lc.seekAt(path); lc.iface == nil && err == nil {
			continue
		}
		// Saved with the change that is to come. What was recorded as the node's own namespace
		// stays that, whatever path leads there from here.
		if err == nil && !lc.moved() {
			lc.rec.Interface = lc.iface.Name
			if lc.rec.NetNS != netdev.CurrentPath {
				lc.rec.NetNS = path
			}
		}
		return err
	}
	return nil
}

// mayBeElsewhere spares the search for an interface that is gone for certain: a link tells.
func (lc *LockedChain) mayBeElsewhere() (bool, error) {
	for _, s := range lc.rec.States() {
		if s.Attach == chain.AttachNetlink {
			return true, nil
		}
	}
	return lc.node.LinkAlive(lc.lock.Key())
}

// seekAt finds the interface in one namespace: by its key, or by the chain's program.
func (lc *LockedChain) seekAt(path string) (*netdev.Interface, error) {
	if iface, err := state.ReopenAt(path, lc.lock.Key()); iface != nil || err != nil {
		return iface, err
	}
	return state.InterfaceWith(path, lc.isRecorded)
}

// moved tells whether the interface is in another namespace than the chain's. What is on it
// can be taken off as a whole, and not be changed: nothing there leads to this chain.
func (lc *LockedChain) moved() bool { return lc.iface != nil && lc.iface.Key() != lc.lock.Key() }

// reachable returns nil for a chain that can be changed. Where the interface is gone, and the
// chain with it, errors.Is(err, [netdev.ErrNoInterface]).
func (lc *LockedChain) reachable() error {
	if lc.moved() {
		return fmt.Errorf("%w: %s was moved to another network namespace, with the chain on it; unload all of its members, or move it back",
			netdev.ErrUnsupported, lc.rec.Interface)
	}
	if lc.iface != nil {
		return nil
	}
	alive, err := lc.node.LinkAlive(lc.lock.Key())
	if err != nil {
		return err
	}
	if alive {
		return fmt.Errorf("%w: the chain runs on %s, and no path leads to that one's network namespace; unload all of its members, or name the namespace by a process in it",
			netdev.ErrNetNSGone, lc.rec.Interface)
	}
	return fmt.Errorf("%w: %s is gone, and its chain with it", netdev.ErrNoInterface, lc.rec.Interface)
}

// refresh notes where the interface is now and what it is called, for the change that is
// to come to save: it may have been renamed, and the recorded path of its namespace may be
// a process's that has ended.
func (lc *LockedChain) refresh() error {
	lc.rec.Interface = lc.iface.Name
	found, err := state.Reopen(lc.rec)
	if found != nil {
		return found.NetNS.Close()
	}
	if err == nil {
		lc.rec.NetNS, err = lc.iface.NetNS.LastingPath()
	}
	return err
}
