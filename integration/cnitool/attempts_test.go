// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// attemptBodies are what a pod's process may try, by name. Each returns the kernel's
// answer; one that is given up half way says so.
var attemptBodies = map[string]func() error{
	"take it off":                            func() error { return takeOff(0) },
	"take it off, native":                    func() error { return takeOff(unix.XDP_FLAGS_DRV_MODE) },
	"take it off, generic":                   func() error { return takeOff(unix.XDP_FLAGS_SKB_MODE) },
	"replace it":                             func() error { return putOn("eth0", 0, false) },
	"replace it, native":                     func() error { return putOn("eth0", unix.XDP_FLAGS_DRV_MODE, false) },
	"replace it, generic":                    func() error { return putOn("eth0", unix.XDP_FLAGS_SKB_MODE, false) },
	"replace it, expecting another, native":  func() error { return putOn("eth0", unix.XDP_FLAGS_DRV_MODE, true) },
	"replace it, expecting another, generic": func() error { return putOn("eth0", unix.XDP_FLAGS_SKB_MODE, true) },
	"attach a link, native":                  func() error { return attachLink(link.XDPDriverMode) },
	"attach a link, generic":                 func() error { return attachLink(link.XDPGenericMode) },
	"open its program by id":                 openByID,
	"detach its link by id":                  detachByID,
	"mount bpffs":                            func() error { return unix.Mount("bpf", "/sys/fs/bpf", "bpf", 0, "") },
	"list its pins":                          func() error { return list("/sys/fs/bpf/xdp-chain") },
	"list its records":                       func() error { return list("/run/xdp-chain") },
	"enter another namespace":                func() error { return unix.Setns(otherNetNS, unix.CLONE_NEWNET) },
	"make a namespace":                       func() error { return unix.Unshare(unix.CLONE_NEWNET) },
	"down and up":                            func() error { return onEth0(netlink.LinkSetDown, netlink.LinkSetUp) },
	"MTU":                                    func() error { return onEth0(setMTU(9000), setMTU(576)) },
	"MAC address":                            func() error { return onEth0(setAddress) },
	"promiscuous":                            func() error { return onEth0(netlink.SetPromiscOn) },
	"GRO":                                    toggleGRO,
	"another address":                        func() error { return onEth0(addAddress) },
	"classifier at tc":                       func() error { return onEth0(addClassifier) },
	"bridge on top":                          func() error { return onEth0(bridgeOn) },
	"bridge with XDP on top":                 func() error { return errors.Join(onEth0(bridgeOn), putOn("br0", unix.XDP_FLAGS_SKB_MODE, false)) },
	"macvlan on top":                         func() error { return onEth0(macvlanOn) },
	"rename":                                 func() error { return onEth0(netlink.LinkSetDown, rename, netlink.LinkSetUp) },
	"rename, decoy": func() error {
		return errors.Join(onEth0(netlink.LinkSetDown, rename, netlink.LinkSetUp), decoy("eth0"))
	},
	"move to another namespace":    func() error { return onEth0(moveAway) },
	"delete":                       func() error { return onEth0(netlink.LinkDel) },
	"list the host's interfaces":   func() error { _, err := hostLinks(); return err },
	"delete the host's end":        deleteHostEnd,
	"plug into the host's bridge":  plugIntoBridge,
	"macvlan on the host's uplink": macvlanOnUplink,
}

// onEth0 does one step after the other to the pod's interface, as the last one left it.
func onEth0(steps ...func(netlink.Link) error) error {
	eth0, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	for _, step := range steps {
		if err := step(eth0); err != nil {
			return err
		}
	}
	return nil
}

// takeOff is ip link set eth0 xdp off, xdpdrv off or xdpgeneric off.
func takeOff(flags int) error {
	return onEth0(func(eth0 netlink.Link) error { return netlink.LinkSetXdpFdWithFlags(eth0, -1, flags) })
}

// passAll loads an XDP program that lets everything through.
func passAll() (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "intruder", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
}

// putOn attaches by netlink. The one program that a pod could say it expects in its place
// is one of its own: the chain's it cannot open.
func putOn(name string, flags uint32, expect bool) error {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	program, err := passAll()
	if err != nil {
		return err
	}
	xdp := nl.NewRtAttr(unix.IFLA_XDP|unix.NLA_F_NESTED, nil)
	xdp.AddRtAttr(unix.IFLA_XDP_FD, nl.Uint32Attr(uint32(program.FD())))
	if expect {
		flags |= unix.XDP_FLAGS_REPLACE
		xdp.AddRtAttr(unix.IFLA_XDP_EXPECTED_FD, nl.Uint32Attr(uint32(program.FD())))
	}
	xdp.AddRtAttr(unix.IFLA_XDP_FLAGS, nl.Uint32Attr(flags))
	request := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
	request.AddData(&nl.IfInfomsg{IfInfomsg: unix.IfInfomsg{Index: int32(iface.Index)}})
	request.AddData(xdp)
	_, err = request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

func attachLink(flags link.XDPAttachFlags) error {
	return onEth0(func(eth0 netlink.Link) error {
		program, err := passAll()
		if err != nil {
			return err
		}
		_, err = link.AttachXDP(link.XDPOptions{Program: program, Interface: eth0.Attrs().Index, Flags: flags})
		return err
	})
}

func openByID() error {
	return onEth0(func(eth0 netlink.Link) error {
		_, err := ebpf.NewProgramFromID(ebpf.ProgramID(eth0.Attrs().Xdp.ProgId))
		return err
	})
}

// detachByID is bpftool link detach.
func detachByID() error {
	return onEth0(func(eth0 netlink.Link) error {
		links := new(link.Iterator)
		defer links.Close()
		for links.Next() {
			info, err := links.Link.Info()
			if err == nil && uint32(info.Program) == eth0.Attrs().Xdp.ProgId {
				return links.Link.Detach()
			}
		}
		if err := links.Err(); err != nil {
			return err
		}
		return unix.ENOENT
	})
}

func list(dir string) error {
	_, err := os.ReadDir(dir)
	return err
}

func setMTU(mtu int) func(netlink.Link) error {
	return func(l netlink.Link) error { return netlink.LinkSetMTU(l, mtu) }
}

func setAddress(l netlink.Link) error {
	return netlink.LinkSetHardwareAddr(l, net.HardwareAddr{2, 0, 0, 0, 0, 9})
}

func addAddress(l netlink.Link) error {
	return netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 88, 0, 99), Mask: net.CIDRMask(24, 32)}})
}

// toggleGRO is ethtool -K eth0 gro on, and off.
func toggleGRO() error {
	family, err := netlink.GenlFamilyGet(unix.ETHTOOL_GENL_NAME)
	if err != nil {
		return err
	}
	for _, on := range []bool{true, false} {
		header := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_HEADER|unix.NLA_F_NESTED, nil)
		header.AddRtAttr(unix.ETHTOOL_A_HEADER_DEV_NAME, nl.ZeroTerminated("eth0"))
		wanted := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_WANTED|unix.NLA_F_NESTED, nil)
		bit := wanted.AddRtAttr(unix.ETHTOOL_A_BITSET_BITS|unix.NLA_F_NESTED, nil).
			AddRtAttr(unix.ETHTOOL_A_BITSET_BITS_BIT|unix.NLA_F_NESTED, nil)
		bit.AddRtAttr(unix.ETHTOOL_A_BITSET_BIT_NAME, nl.ZeroTerminated("rx-gro"))
		if on {
			bit.AddRtAttr(unix.ETHTOOL_A_BITSET_BIT_VALUE, nil)
		}
		request := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
		request.AddData(&nl.Genlmsg{Command: unix.ETHTOOL_MSG_FEATURES_SET, Version: unix.ETHTOOL_GENL_VERSION})
		request.AddData(header)
		request.AddData(wanted)
		if _, err := request.Execute(unix.NETLINK_GENERIC, 0); err != nil {
			return err
		}
	}
	return nil
}

// addClassifier has all that comes in accepted at tc, before anything else there.
func addClassifier(l netlink.Link) error {
	attrs := netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}
	if err := netlink.QdiscAdd(&netlink.GenericQdisc{QdiscAttrs: attrs, QdiscType: "clsact"}); err != nil {
		return fmt.Errorf("qdisc: %w", err)
	}
	return netlink.FilterAdd(&netlink.U32{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: netlink.HANDLE_MIN_INGRESS, Priority: 1, Protocol: unix.ETH_P_ALL},
		ClassId:     netlink.MakeHandle(1, 1),
	})
}

func bridgeOn(l netlink.Link) error {
	br0 := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	if err := netlink.LinkAdd(br0); err != nil {
		return err
	}
	return errors.Join(netlink.LinkSetMaster(l, br0), netlink.LinkSetUp(br0))
}

func macvlanOn(l netlink.Link) error {
	mv0 := &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "mv0", ParentIndex: l.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE}
	if err := netlink.LinkAdd(mv0); err != nil {
		return err
	}
	return netlink.LinkSetUp(mv0)
}

const renamed = "eth9"

func rename(l netlink.Link) error { return netlink.LinkSetName(l, renamed) }

// decoy makes another interface of the name.
func decoy(name string) error {
	return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}})
}

func moveAway(l netlink.Link) error { return netlink.LinkSetNsFd(l, otherNetNS) }
