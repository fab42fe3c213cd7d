// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// site is an interface that a chain is for.
type site struct {
	iface *netdev.Interface
	side  config.Side
	// netns is the path of its namespace as the record keeps it.
	netns string
}

// sites are the ends of one pod's veth pair that get a chain, and the open
// namespaces they lie in.
type sites struct {
	list   []site // pod before host
	pod    *netdev.Interface
	opened []*netdev.NetNS
}

func (s *sites) close() {
	for _, ns := range s.opened {
		ns.Close()
	}
}

// openSites finds the interfaces of an attachment for the given sides. The pod's
// interface has to be there even if no program is for it.
func openSites(a *Attachment, sides map[config.Side][]config.Program) (*sites, error) {
	s := &sites{}
	podNS, err := netdev.OpenNetNS(a.NetNS)
	if err != nil {
		return nil, err
	}
	s.opened = append(s.opened, podNS)
	if s.pod, err = podNS.InterfaceByName(a.Ifname); err != nil {
		s.close()
		return nil, err
	}
	if len(sides[config.PodSide]) > 0 {
		s.list = append(s.list, site{s.pod, config.PodSide, a.NetNS})
	}
	if len(sides[config.HostSide]) > 0 {
		if err := s.addPeer(); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *sites) addPeer() error {
	host, err := netdev.CurrentNetNS()
	if err != nil {
		return err
	}
	s.opened = append(s.opened, host)
	peer, err := s.pod.Peer(host)
	if err != nil {
		return fmt.Errorf("side host of %s: %w", s.pod.Name, err)
	}
	s.list = append(s.list, site{peer, config.HostSide, host.Path()})
	return nil
}

// reopen finds the interface of a record again. It returns nil, and no error,
// where the interface or its namespace is gone; the caller closes the namespace
// of what it gets.
func reopen(rec *record.Record) (*netdev.Interface, error) {
	ns, err := openAt(rec.NetNS, rec.Key.Cookie)
	if ns == nil && err == nil && rec.NetNS == netdev.CurrentPath {
		ns, err = findRecorders(rec.Key.Cookie)
	}
	if ns == nil || err != nil {
		return nil, err
	}
	return interfaceIn(ns, rec.Key)
}

// reopenAt looks for the interface of a key in the namespace that a path leads to.
func reopenAt(netns string, key chain.Key) (*netdev.Interface, error) {
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
