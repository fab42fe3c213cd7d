// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// groFeature is the name of NETIF_F_GRO (netdev_features_strings of net/ethtool/common.c).
const groFeature = "rx-gro"

// linux5_13 is KERNEL_VERSION(5, 13, 0).
const linux5_13 = 5<<16 | 13<<8

// HaveGROPolling returns nil where a veth with GRO on polls (NAPI), and so takes what
// is redirected to it by XDP_REDIRECT. That is since Linux 5.13 (commit d3256efd8e8b);
// before, a veth polls under a native XDP program alone, and the error satisfies
// errors.Is(err, [ebpf.ErrNotSupported]).
//
// What its other end sends by XDP_TX it does not take for GRO's sake alone: it goes
// into its queue, and nothing wakes it (veth_xdp_flush of drivers/net/veth.c looks for
// an XDP program, up to Linux 6.18 at least). A redirect to the interface that the
// frame came from does the same with the other end woken.
func HaveGROPolling() error {
	version, err := features.LinuxVersionCode()
	if err != nil {
		return fmt.Errorf("asking for the kernel's version: %w", err)
	}
	if version < linux5_13 {
		return fmt.Errorf("GRO makes a veth poll (NAPI) since Linux 5.13, not on this kernel: %w", ebpf.ErrNotSupported)
	}
	return nil
}

// GRO tells whether GRO is asked for on the interface. That is not what `ethtool -k`
// shows: up to Linux 6.8 GRO is active for as long as there is a native XDP program,
// whether it is asked for or not. If the interface is gone, errors.Is(err,
// [ErrNoInterface]).
func (i *Interface) GRO() (bool, error) {
	answers, err := i.ethtool(unix.ETHTOOL_MSG_FEATURES_GET, 0)
	if err != nil {
		return false, i.explainGRO("asking for GRO of", err)
	}
	for _, answer := range answers {
		wanted, err := attribute(answer, unix.ETHTOOL_A_FEATURES_WANTED)
		if err != nil {
			return false, i.explainGRO("reading the features of", err)
		}
		if on, err := hasBit(wanted, groFeature); on || err != nil {
			return on, err
		}
	}
	return false, nil
}

// SetGRO asks for GRO on the interface, or no longer. On a veth that is up it takes
// effect at once: it polls a queue of 256 frames. What the other end's kernel sends goes
// past that queue as before, unless TSO is off there (veth_skb_is_eligible_for_gro), and
// queueing disciplines stay as they are. If the interface is gone, errors.Is(err,
// [ErrNoInterface]).
//
// The change is whole when the call returns, or did not happen. It outlives the process.
func (i *Interface) SetGRO(on bool) error {
	wanted := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_WANTED|unix.NLA_F_NESTED, nil)
	bit := wanted.AddRtAttr(unix.ETHTOOL_A_BITSET_BITS|unix.NLA_F_NESTED, nil).
		AddRtAttr(unix.ETHTOOL_A_BITSET_BITS_BIT|unix.NLA_F_NESTED, nil)
	bit.AddRtAttr(unix.ETHTOOL_A_BITSET_BIT_NAME, nl.ZeroTerminated(groFeature))
	if on {
		bit.AddRtAttr(unix.ETHTOOL_A_BITSET_BIT_VALUE, nil)
	}
	if _, err := i.ethtool(unix.ETHTOOL_MSG_FEATURES_SET, unix.ETHTOOL_FLAG_OMIT_REPLY, wanted); err != nil {
		return i.explainGRO("changing GRO of", err)
	}
	return nil
}

func (i *Interface) explainGRO(what string, err error) error {
	if errors.Is(err, unix.ENODEV) {
		return i.gone()
	}
	return fmt.Errorf("%s %s in network namespace %q: %w", what, i.Name, i.NetNS.path, err)
}

// queues returns how many queues are in use, 0 where the driver does not say: those that
// an attribute of ETHTOOL_MSG_CHANNELS_GET counts. (rtnetlink tells only how many there could be.)
func (i *Interface) queues(count uint16) (int, error) {
	answers, err := i.ethtool(unix.ETHTOOL_MSG_CHANNELS_GET, 0)
	for _, answer := range answers {
		if value, err := attribute(answer, count); len(value) == 4 || err != nil {
			return int(binary.NativeEndian.Uint32(value)), err
		}
	}
	return 0, err
}

// ethtool sends one message of ethtool's generic netlink family about the interface and
// returns the attributes of each answer. Unlike ethtool's ioctl it goes by the
// interface's index, which no renaming changes. (Documentation/networking/ethtool-netlink.rst)
func (i *Interface) ethtool(command uint8, flags uint32, data ...nl.NetlinkRequestData) ([][]byte, error) {
	var answers [][]byte
	err := i.NetNS.Do(func() error {
		family, err := netlink.GenlFamilyGet(unix.ETHTOOL_GENL_NAME)
		if err != nil {
			return fmt.Errorf("looking for generic netlink family %q (CONFIG_ETHTOOL_NETLINK): %w", unix.ETHTOOL_GENL_NAME, err)
		}
		req := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
		req.AddData(&nl.Genlmsg{Command: command, Version: unix.ETHTOOL_GENL_VERSION})
		// Every message has its header in its first attribute.
		header := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_HEADER|unix.NLA_F_NESTED, nil)
		header.AddRtAttr(unix.ETHTOOL_A_HEADER_DEV_INDEX, nl.Uint32Attr(uint32(i.Index)))
		header.AddRtAttr(unix.ETHTOOL_A_HEADER_FLAGS, nl.Uint32Attr(flags))
		req.AddData(header)
		for _, d := range data {
			req.AddData(d)
		}
		answers, err = req.Execute(unix.NETLINK_GENERIC, 0)
		return err
	})
	for n, answer := range answers {
		if len(answer) < nl.SizeofGenlmsg {
			return nil, fmt.Errorf("an answer of %d bytes", len(answer))
		}
		answers[n] = answer[nl.SizeofGenlmsg:]
	}
	return answers, err
}

// hasBit tells whether a bitset without a mask, which lists the bits that are set, has
// the one of that name.
func hasBit(bitset []byte, name string) (bool, error) {
	bits, err := attribute(bitset, unix.ETHTOOL_A_BITSET_BITS)
	if err != nil {
		return false, err
	}
	list, err := nl.ParseRouteAttr(bits)
	if err != nil {
		return false, err
	}
	for _, bit := range list {
		got, err := attribute(bit.Value, unix.ETHTOOL_A_BITSET_BIT_NAME)
		if err != nil {
			return false, err
		}
		if unix.ByteSliceToString(got) == name {
			return true, nil
		}
	}
	return false, nil
}
