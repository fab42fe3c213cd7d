// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/containernetworking/plugins/pkg/netlinksafe"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Interface is one network interface as it was when it was looked up. It is usable
// until its NetNS is closed.
type Interface struct {
	NetNS        *NetNS
	Name         string
	Index        int
	MTU          int    // bytes, without the Ethernet header
	Kind         string // "veth", "bridge"; "device" for what has no kind, such as lo
	HardwareAddr net.HardwareAddr

	parent int // index of the other end, in the namespace that nsid names
	nsid   int // noNSID: this interface's own namespace
	master int // index of the bridge or bond it is a port of, 0: none
}

// InterfaceByName looks an interface up. If there is none of that name,
// errors.Is(err, [ErrNoInterface]) and the error lists those there are.
func (n *NetNS) InterfaceByName(name string) (*Interface, error) {
	i, err := n.lookUp(nl.NewIfInfomsg(unix.AF_UNSPEC), nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	if errors.Is(err, unix.ENODEV) || len(name) >= unix.IFNAMSIZ { // no interface can have a longer name
		return nil, fmt.Errorf("%w: %q in network namespace %q, which has %s", ErrNoInterface, name, n.path, n.names())
	}
	if err != nil {
		return nil, fmt.Errorf("looking up interface %q in network namespace %q: %w", name, n.path, err)
	}
	return i, nil
}

// InterfaceByIndex looks an interface up. If there is none of that index,
// errors.Is(err, [ErrNoInterface]) and the error lists those there are.
func (n *NetNS) InterfaceByIndex(index int) (*Interface, error) {
	i, err := n.lookUp(ifInfo(index))
	if errors.Is(err, unix.ENODEV) {
		return nil, fmt.Errorf("%w: index %d in network namespace %q, which has %s", ErrNoInterface, index, n.path, n.names())
	}
	if err != nil {
		return nil, fmt.Errorf("looking up interface %d in network namespace %q: %w", index, n.path, err)
	}
	return i, nil
}

// Key returns what names a chain on this interface.
func (i *Interface) Key() chain.Key {
	return chain.Key{Cookie: i.NetNS.cookie, Ifindex: i.Index}
}

func ifInfo(index int) *nl.IfInfomsg {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	return msg
}

// lookUp asks for the one link that query describes.
func (n *NetNS) lookUp(query ...nl.NetlinkRequestData) (*Interface, error) {
	msg, err := n.linkMessage(query...)
	if err != nil {
		return nil, err
	}
	l, err := netlink.LinkDeserialize(nil, msg)
	if err != nil {
		return nil, err
	}
	return n.found(l), nil
}

// found is an interface of the namespace as a message describes it.
func (n *NetNS) found(l netlink.Link) *Interface {
	attrs := l.Attrs()
	i := &Interface{
		NetNS: n, Name: attrs.Name, Index: attrs.Index, MTU: attrs.MTU, Kind: l.Type(), HardwareAddr: attrs.HardwareAddr,
		parent: attrs.ParentIndex, nsid: attrs.NetNsID, master: attrs.MasterIndex,
	}
	// Older kernels leave IFLA_LINK out where both ends, in two namespaces, happen
	// to have the same index.
	if i.parent == 0 && i.nsid != noNSID {
		i.parent = i.Index
	}
	return i
}

// rtextFilterSkipStats is RTEXT_FILTER_SKIP_STATS of linux/rtnetlink.h.
const rtextFilterSkipStats = 1 << 3

// linkMessage returns the payload of the RTM_NEWLINK message for the one link that
// query describes.
func (n *NetNS) linkMessage(query ...nl.NetlinkRequestData) ([]byte, error) {
	noStats := nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(rtextFilterSkipStats))
	answers, err := n.request(unix.RTM_GETLINK, 0, unix.RTM_NEWLINK, append(query, noStats)...)
	if err != nil {
		return nil, err
	}
	if len(answers) != 1 {
		return nil, fmt.Errorf("%d answers to a question for one link", len(answers))
	}
	return answers[0], nil
}

// names lists the namespace's interfaces, for messages.
func (n *NetNS) names() string {
	var names []string
	err := n.Do(func() error {
		links, err := netlinksafe.LinkList()
		for _, l := range links {
			names = append(names, l.Attrs().Name)
		}
		return err
	})
	if err != nil {
		return fmt.Sprintf("interfaces that cannot be listed: %v", err)
	}
	return strings.Join(names, ", ")
}
