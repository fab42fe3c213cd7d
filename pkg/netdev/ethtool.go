// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

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

// attribute returns the value of the first attribute of that type; nil where there is
// none.
func attribute(attrs []byte, kind uint16) ([]byte, error) {
	list, err := nl.ParseRouteAttr(attrs)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		if a.Attr.Type&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER) == kind {
			return a.Value, nil
		}
	}
	return nil, nil
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
