// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"fmt"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// The kernel gives the namespace of a veth's peer an id in the pod's namespace
// (IFLA_LINK_NETNSID), and lets rtnetlink work in the namespace of such an id for whoever has
// CAP_NET_ADMIN in the user namespace that owns it: rtnl_get_net_ns_capable and rtnl_newlink
// in net/core/rtnetlink.c. What follows are a pod's attempts on the host by that way.

// hostID returns the id of the host's network namespace in the pod's, and the index of the
// host's end of the pod's veth pair.
func hostID() (id, end int, err error) {
	err = onEth0(func(eth0 netlink.Link) error {
		id, end = eth0.Attrs().NetNsID, eth0.Attrs().ParentIndex
		if id < 0 {
			return fmt.Errorf("eth0 says nothing of its peer's namespace")
		}
		return nil
	})
	return id, end, err
}

// ask sends a request about an interface of the host.
func ask(kind, flags, index int, attrs ...*nl.RtAttr) ([][]byte, error) {
	request := nl.NewNetlinkRequest(kind, flags)
	request.AddData(&nl.IfInfomsg{IfInfomsg: unix.IfInfomsg{Index: int32(index), Flags: unix.IFF_UP, Change: unix.IFF_UP}})
	for _, attr := range attrs {
		request.AddData(attr)
	}
	return request.Execute(unix.NETLINK_ROUTE, 0)
}

func number(kind int, n int) *nl.RtAttr { return nl.NewRtAttr(kind, nl.Uint32Attr(uint32(n))) }

// hostLinks lists the interfaces of the host, by name.
func hostLinks() (map[string]netlink.Link, error) {
	id, _, err := hostID()
	if err != nil {
		return nil, err
	}
	messages, err := ask(unix.RTM_GETLINK, unix.NLM_F_DUMP, 0, number(unix.IFLA_TARGET_NETNSID, id))
	if err != nil {
		return nil, err
	}
	links := make(map[string]netlink.Link)
	for _, m := range messages {
		l, err := netlink.LinkDeserialize(nil, m)
		if err != nil {
			return nil, err
		}
		links[l.Attrs().Name] = l
	}
	return links, nil
}

func deleteHostEnd() error {
	id, end, err := hostID()
	if err != nil {
		return err
	}
	_, err = ask(unix.RTM_DELLINK, unix.NLM_F_ACK, end, number(unix.IFLA_TARGET_NETNSID, id))
	return err
}

// hostBridge and hostUplink are what the host has besides the pod's veth.
const (
	hostBridge = "cni0"
	hostUplink = "uplink"
)

// indexOnHost returns the index of an interface of the host. A pod that may not list
// them can guess: they are small numbers.
func indexOnHost(name string) int {
	const guess = 2
	links, err := hostLinks()
	if err != nil || links[name] == nil {
		return guess
	}
	return links[name].Attrs().Index
}

// stray is what a pod calls an interface that it got past the runtime.
const stray = "stray0"

// plugIntoBridge makes a second veth pair: one end in the pod, one a port of the
// host's bridge.
func plugIntoBridge() error {
	id, _, err := hostID()
	if err != nil {
		return err
	}
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(stray))
	own, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(own)))
	_, err = ask(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, 0,
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated("host-"+stray)), number(unix.IFLA_TARGET_NETNSID, id),
		number(unix.IFLA_MASTER, indexOnHost(hostBridge)), info)
	if err != nil {
		return err
	}
	return up(stray)
}

// macvlanOnUplink makes an interface in the pod that is on the host's own.
func macvlanOnUplink() error {
	id, _, err := hostID()
	if err != nil {
		return err
	}
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("macvlan"))
	info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.IFLA_MACVLAN_MODE, nl.Uint32Attr(nl.MACVLAN_MODE_BRIDGE))
	_, err = ask(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, 0,
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(stray)),
		number(unix.IFLA_LINK, indexOnHost(hostUplink)), number(unix.IFLA_LINK_NETNSID, id), info)
	if err != nil {
		return err
	}
	return up(stray)
}

func up(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

// With CAP_NET_ADMIN in the host's user namespace a pod makes itself an interface that no
// plugin knows of, and with it a way past the chain on the one that it was given: on either
// side, since the way does not lead through that pair. In a user namespace of its own it
// cannot (byOwner). Here both are what docs/security.md warns of.
func TestPodGoesRoundItsChain(t *testing.T) {
	for _, tt := range []struct {
		attempt string
		make    func(t *testing.T) (from string)
	}{
		{"plug into the host's bridge", func(t *testing.T) string {
			add(t, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: hostBridge}})
			return hostBridge
		}},
		{"macvlan on the host's uplink", func(t *testing.T) string {
			const wire = "wire"
			add(t, &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: hostUplink}, PeerName: wire})
			if err := up(wire); err != nil {
				t.Fatal(err)
			}
			return wire
		}},
	} {
		for _, side := range []string{"pod", "host"} {
			t.Run(tt.attempt+"/side "+side, func(t *testing.T) {
				testenv.NoLeaks(t)
				from := tt.make(t)
				v := newVictim(t, held{config: fields{"side": side}}, netAdmin, false)
				wantFate(t, "before", from, v.pod.NetNS, cut)
				if o := v.container.attempts(t, tt.attempt, false); o.Errno != 0 {
					t.Fatalf("%s: %s", tt.attempt, o.Text)
				}
				wantFate(t, "by the interface that the pod made", from, v.pod.NetNS, open)
				v.wantCheck(t, "") // its own chain is as it was
			})
		}
	}
}

// add makes an interface on the host, up.
func add(t *testing.T, l netlink.Link) {
	t.Helper()
	if err := netlink.LinkAdd(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(l) })
	if err := netlink.LinkSetUp(l); err != nil {
		t.Fatal(err)
	}
}
