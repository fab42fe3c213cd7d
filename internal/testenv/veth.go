// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"os"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Veth makes a veth pair as a CNI plugin would: podName in the network namespace
// at nsPath, hostName in the one the tests run in, both up, both with the given
// MTU (0: the kernel's 1500). IPv6 is off on both, since the kernel would send
// packets on its own account (router solicitations, multicast reports): what goes
// over the pair is the test's. The pair goes away with the test.
func Veth(t testing.TB, nsPath, podName, hostName string, mtu int) {
	t.Helper()
	ns, err := netns.GetFromPath(nsPath)
	if err != nil {
		t.Fatalf("opening network namespace %s: %v", nsPath, err)
	}
	defer ns.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = hostName, mtu
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: podName, PeerNamespace: netlink.NsFd(int(ns))}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatalf("adding veth %s with peer %s in %s: %v", hostName, podName, nsPath, err)
	}
	t.Cleanup(func() {
		if link, err := netlink.LinkByName(hostName); err == nil {
			_ = netlink.LinkDel(link) // it may go with its namespace meanwhile
		}
	})
	InNetNS(t, nsPath, func() error { return quietUp(podName) })
	InNetNS(t, "", func() error { return quietUp(hostName) })
}

// quietUp brings an interface of the calling thread's namespace up.
func quietUp(name string) error {
	// A kernel without IPv6 has no such file and nothing to keep quiet.
	off := "/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6"
	if err := os.WriteFile(off, []byte("1"), 0); err != nil && !os.IsNotExist(err) {
		return err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding %s: %w", name, err)
	}
	return netlink.LinkSetUp(link)
}
