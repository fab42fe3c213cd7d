// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// An interface that an operator puts a chain on need not stay where it is, as a pod's does:
// the recorded path of its namespace may be a process's that ends before others in there,
// and it may be moved to another namespace with all that is on it.

// seek looks for the interface of a chain in every network namespace that can be found. It
// stays nil where the interface is gone.
func (t *tenure) seek() error {
	if elsewhere, err := t.mayBeElsewhere(); !elsewhere || err != nil {
		return err
	}
	paths, err := netdev.Namespaces()
	if err != nil {
		return err
	}
	for _, path := range paths {
		if t.iface, err = t.seekAt(path); t.iface == nil && err == nil {
			continue
		}
		// Saved with the change that is to come. What was recorded as the node's own namespace
		// stays that, whatever path leads there from here.
		if err == nil && !t.moved() {
			t.rec.Interface = t.iface.Name
			if t.rec.NetNS != netdev.CurrentPath {
				t.rec.NetNS = path
			}
		}
		return err
	}
	return nil
}

// mayBeElsewhere spares the search for an interface that is gone for certain: a link tells.
func (t *tenure) mayBeElsewhere() (bool, error) {
	for _, s := range t.rec.States() {
		if s.Attach == chain.AttachNetlink {
			return true, nil
		}
	}
	return t.node.linkAlive(t.lock.Key())
}

// seekAt finds the interface in one namespace: by its key, or by the chain's program.
func (t *tenure) seekAt(path string) (*netdev.Interface, error) {
	if iface, err := reopenAt(path, t.lock.Key()); iface != nil || err != nil {
		return iface, err
	}
	return interfaceWith(path, t.isRecorded)
}

// interfaceWith finds the interface in a namespace that carries such a program. It is nil
// where there is none, or no namespace any more; the caller closes the one it gets.
func interfaceWith(path string, is func(ebpf.ProgramID) bool) (*netdev.Interface, error) {
	ns, err := netdev.OpenNetNS(path)
	if errors.Is(err, netdev.ErrNetNSGone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	hooks, err := ns.Hooks()
	for _, h := range hooks {
		if slices.ContainsFunc(h.Programs, func(a netdev.Attached) bool { return is(a.ProgramID) }) {
			return h.Interface, nil
		}
	}
	return nil, errors.Join(err, ns.Close())
}

// moved tells whether the interface is in another namespace than the chain's. What is on it
// can be taken off as a whole, and not be changed: nothing there leads to this chain.
func (t *tenure) moved() bool { return t.iface != nil && t.iface.Key() != t.lock.Key() }

// reachable returns nil for a chain that can be changed. Where the interface is gone, and the
// chain with it, errors.Is(err, [netdev.ErrNoInterface]).
func (t *tenure) reachable() error {
	if t.moved() {
		return fmt.Errorf("%w: %s was moved to another network namespace, with the chain on it; unload all of its members, or move it back",
			netdev.ErrUnsupported, t.rec.Interface)
	}
	if t.iface != nil {
		return nil
	}
	alive, err := t.node.linkAlive(t.lock.Key())
	if err != nil {
		return err
	}
	if alive {
		return fmt.Errorf("%w: the chain runs on %s, and no path leads to that one's network namespace; unload all of its members, or name the namespace by a process in it",
			netdev.ErrNetNSGone, t.rec.Interface)
	}
	return fmt.Errorf("%w: %s is gone, and its chain with it", netdev.ErrNoInterface, t.rec.Interface)
}
