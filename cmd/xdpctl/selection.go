// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// selection tells which chains the flags of a place are about: that of an interface, those
// in a network namespace, those of a pod, the host's end of its veth included, or all
// where no flag is there. An interface or a namespace that is not there is an error.
func (p *place) selection(n *node.Node) (func(*node.Chain) bool, error) {
	if !p.given() {
		return func(*node.Chain) bool { return true }, nil
	}
	path, err := p.netNS(n)
	if p.cmd.Flags().Changed("pod") {
		return p.ofPod(n, path, err)
	}
	if err != nil {
		return nil, err
	}
	ns, err := openNetNS(path)
	if err != nil {
		return nil, failed(err)
	}
	defer ns.Close()
	if p.iface == "" {
		cookie := ns.Cookie()
		return func(c *node.Chain) bool { return c.Key.Cookie == cookie }, nil
	}
	iface, err := ns.InterfaceByName(p.iface)
	if err != nil {
		return nil, failed(err)
	}
	key := iface.Key()
	return func(c *node.Chain) bool { return c.Key == key }, nil
}

// ofPod takes what the pod has on either end of its veths, and what others have in its
// namespace. path is that, if notFound is nil; else it is enough that the pod has a chain.
func (p *place) ofPod(n *node.Node, path string, notFound error) (func(*node.Chain) bool, error) {
	pod, err := parsePod(p.pod)
	if err != nil {
		return nil, err
	}
	cookie := cookieAt(path)
	takes := func(c *node.Chain) bool {
		its := slices.ContainsFunc(c.Owners, pod.owns) || cookie != 0 && c.Key.Cookie == cookie
		return its && (p.iface == "" || c.Interface == p.iface)
	}
	if notFound != nil {
		chains, _ := n.List() // what is wrong with it shows when it is shown
		if !slices.ContainsFunc(chains, func(c node.Chain) bool { return takes(&c) }) {
			return nil, notFound
		}
	}
	return takes, nil
}

// openNetNS opens the namespace at a path; empty is the process's own.
func openNetNS(path string) (*netdev.NetNS, error) {
	if path == "" {
		return netdev.CurrentNetNS()
	}
	return netdev.OpenNetNS(path)
}
