// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// Reopen finds the interface of a record again. It returns nil, and no error,
// where the interface or its namespace is gone; the caller closes the namespace
// of what it gets.
func Reopen(rec *record.Record) (*netdev.Interface, error) {
	ns, err := openAt(rec.NetNS, rec.Key.Cookie)
	if ns == nil && err == nil && rec.NetNS == netdev.CurrentPath {
		ns, err = findRecorders(rec.Key.Cookie)
	}
	if ns == nil || err != nil {
		return nil, err
	}
	return interfaceIn(ns, rec.Key)
}

// ReopenAt looks for the interface of a key in the namespace that a path leads to.
func ReopenAt(netns string, key chain.Key) (*netdev.Interface, error) {
	ns, err := openAt(netns, key.Cookie)
	if ns == nil || err != nil {
		return nil, err
	}
	return interfaceIn(ns, key)
}

// openAt opens the namespace with a cookie. It is nil where the path leads nowhere, or to
// another namespace: it may stand for a younger one by now.
func openAt(netns string, cookie uint64) (*netdev.NetNS, error) {
	ns, err := netdev.OpenNetNS(netns)
	if errors.Is(err, netdev.ErrNetNSGone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if ns.Cookie() != cookie {
		return nil, ns.Close()
	}
	return ns, nil
}

// interfaceIn returns nil where a namespace, which it then closes, has no such interface.
func interfaceIn(ns *netdev.NetNS, key chain.Key) (*netdev.Interface, error) {
	iface, err := ns.InterfaceByIndex(key.Ifindex)
	if err == nil {
		return iface, nil
	}
	ns.Close()
	if errors.Is(err, netdev.ErrNoInterface) {
		return nil, nil
	}
	return nil, err
}

// findRecorders opens the network namespace that another process recorded as its own, when
// this one runs in another, as by nsenter. It is nil where that is gone, which a process
// that cannot see it cannot tell: what it takes for gone would be removed.
func findRecorders(cookie uint64) (*netdev.NetNS, error) {
	ns, err := netdev.FindNetNS(cookie)
	if ns == nil && err == nil && !netdev.InFirst() {
		err = errors.New("the interface is recorded in the node's own network namespace, this process is in another one, and nothing in /proc leads there: start it in the node's")
	}
	return ns, err
}

// InterfaceWith finds the interface in a namespace that carries such a program. It is nil
// where there is none, or no namespace any more; the caller closes the one it gets.
func InterfaceWith(path string, is func(ebpf.ProgramID) bool) (*netdev.Interface, error) {
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

// Locator finds the interfaces of chains that are looked at without their locks, also where
// the recorded path of a namespace does not lead there any more. It looks for namespaces once,
// and only if it has to.
type Locator struct {
	node   *Node
	spaces func() (map[uint64]string, error)
}

// NewLocator returns a Locator for one look at the node. Namespaces that come after its first
// search are not found.
func (n *Node) NewLocator() *Locator {
	return &Locator{n, sync.OnceValues(namespacesByCookie)}
}

// Namespaces returns a path of every network namespace that can be found, by cookie.
func (l *Locator) Namespaces() (map[uint64]string, error) { return l.spaces() }

// Liveness is [Node.Liveness] for a chain whose interface is not at hand.
func (l *Locator) Liveness(key chain.Key, rec *record.Record) (Liveness, string, error) {
	var found *netdev.Interface
	defer func() {
		if found != nil {
			found.NetNS.Close()
		}
	}()
	return l.node.Liveness(key, rec, func() (_ *netdev.Interface, why string, err error) {
		found, why, err = l.Interface(key, rec)
		return found, why, err
	})
}

// LivenessOf is [Node.Liveness] for a recorded chain that may be changed or removed meanwhile:
// that it does not run is believed where the record is the same after that.
func (l *Locator) LivenessOf(rec *record.Record) (Liveness, string, error) {
	for {
		liveness, why, err := l.Liveness(rec.Key, rec)
		if liveness == Running || err != nil {
			return liveness, why, err
		}
		again, err := l.node.Records.ReadOnly().Load(rec.Key)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return Gone, "it was removed meanwhile", nil
		case err != nil || SameJSON(again, rec):
			return liveness, why, err
		}
		rec = again
	}
}

// Interface finds the interface of a chain, or says why there is none. rec may be nil. The
// caller closes its namespace.
func (l *Locator) Interface(key chain.Key, rec *record.Record) (iface *netdev.Interface, why string, err error) {
	if rec != nil {
		if iface, err = Reopen(rec); iface != nil || err != nil {
			return iface, "", err
		}
	}
	spaces, err := l.spaces()
	if err != nil {
		return nil, "", err
	}
	path, there := spaces[key.Cookie]
	why = "its network namespace is gone"
	if there {
		why = "its interface is gone"
		if iface, err = ReopenAt(path, key); iface != nil || err != nil {
			return iface, "", err
		}
	}
	if rec == nil {
		return nil, why, nil
	}
	if there {
		why = fmt.Sprintf("its interface %s is gone", rec.Interface)
	}
	iface, err = findMoved(rec, spaces)
	return iface, why, err
}

// findMoved finds the interface of an operator's chain, which no link tells of, that went to
// another namespace.
func findMoved(rec *record.Record, spaces map[uint64]string) (*netdev.Interface, error) {
	if !rec.HasOwner(ManualOwner) {
		return nil, nil
	}
	for _, path := range spaces {
		iface, err := InterfaceWith(path, func(id ebpf.ProgramID) bool { return rec.Generation(uint32(id)) != nil })
		if iface != nil || err != nil {
			return iface, err
		}
	}
	return nil, nil
}

// namespacesByCookie opens every network namespace that can be found for a moment.
func namespacesByCookie() (map[uint64]string, error) {
	paths, err := netdev.Namespaces()
	if err != nil {
		return nil, err
	}
	spaces := make(map[uint64]string, len(paths))
	for _, path := range paths {
		ns, err := netdev.OpenNetNS(path)
		if errors.Is(err, netdev.ErrNetNSGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		spaces[ns.Cookie()] = path
		ns.Close()
	}
	return spaces, nil
}
