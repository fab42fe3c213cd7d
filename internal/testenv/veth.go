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
// MTU (0: the kernel's 1500). Neither end gets an IPv6 link-local address, so that
// no packet is sent but those of the test. The pair goes away with the test.
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
	// 1 is IN6_ADDR_GEN_MODE_NONE, uapi/linux/if_link.h. A kernel without IPv6 has
	// no such file and nothing to keep quiet.
	mode := "/proc/sys/net/ipv6/conf/" + name + "/addr_gen_mode"
	if err := os.WriteFile(mode, []byte("1"), 0); err != nil && !os.IsNotExist(err) {
		return err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding %s: %w", name, err)
	}
	return netlink.LinkSetUp(link)
}
