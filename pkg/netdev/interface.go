// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/errs"
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
	return i, errs.Wrapf(err, "looking up interface %q in network namespace %q", name, n.path)
}

// InterfaceByIndex looks an interface up. If there is none of that index,
// errors.Is(err, [ErrNoInterface]) and the error lists those there are.
func (n *NetNS) InterfaceByIndex(index int) (*Interface, error) {
	i, err := n.lookUp(ifInfo(index))
	if errors.Is(err, unix.ENODEV) {
		return nil, fmt.Errorf("%w: index %d in network namespace %q, which has %s", ErrNoInterface, index, n.path, n.names())
	}
	return i, errs.Wrapf(err, "looking up interface %d in network namespace %q", index, n.path)
}

// Key returns what names a chain on this interface.
func (i *Interface) Key() chain.Key {
	return chain.Key{Cookie: i.NetNS.cookie, Ifindex: i.Index}
}

// lookUp asks for the one link that query describes.
func (n *NetNS) lookUp(query ...nl.NetlinkRequestData) (*Interface, error) {
	msg, err := n.linkMessage(query...)
	if err != nil {
		return nil, err
	}
	return n.newInterface(msg)
}

// newInterface returns an interface of the namespace as an RTM_NEWLINK message describes it.
func (n *NetNS) newInterface(msg []byte) (*Interface, error) {
	l, err := netlink.LinkDeserialize(nil, msg)
	if err != nil {
		return nil, err
	}
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
	return i, nil
}

// names lists the namespace's interfaces, for messages.
func (n *NetNS) names() string {
	hooks, err := n.Hooks()
	if err != nil {
		return fmt.Sprintf("interfaces that cannot be listed: %v", err)
	}
	names := make([]string, len(hooks))
	for i, h := range hooks {
		names[i] = h.Name
	}
	return strings.Join(names, ", ")
}

// Peer returns the other end of a veth pair, which must be in namespace in. It goes by
// the index that the veth itself gives for its other end, never by names, and checks
// that what it finds is a veth that points back. What is no veth satisfies
// errors.Is(err, [ErrNotVeth]); a peer that is elsewhere, [ErrNoInterface].
func (i *Interface) Peer(in *NetNS) (*Interface, error) {
	if i.Kind != "veth" {
		return nil, fmt.Errorf("interface %s is a %s, %w: it has no peer; use side pod", i.Name, i.Kind, ErrNotVeth)
	}
	if err := i.leadsTo(in); err != nil {
		return nil, err
	}
	peer, err := in.InterfaceByIndex(i.parent)
	if err != nil {
		return nil, fmt.Errorf("peer of %s: %w", i.Name, err)
	}
	if peer.Kind != "veth" || peer.parent != i.Index {
		return nil, fmt.Errorf("%w: index %d in network namespace %q is %s, which is not the peer of %s", ErrNoInterface, i.parent, in.path, peer.Name, i.Name)
	}
	if err := peer.leadsTo(i.NetNS); err != nil {
		return nil, err
	}
	return peer, nil
}

// leadsTo checks that the other end of i is in namespace in.
func (i *Interface) leadsTo(in *NetNS) error {
	nsid, err := i.NetNS.nsid(in)
	if err != nil {
		return err
	}
	if nsid != i.nsid {
		return fmt.Errorf("%w: the peer of %s (index %d there) is not in network namespace %q", ErrNoInterface, i.Name, i.parent, in.path)
	}
	return nil
}

// peerElsewhere returns a veth's other end, in whatever namespace that is: for its MTU and
// its name there, and nothing else.
func (i *Interface) peerElsewhere() (*Interface, error) {
	query := []nl.NetlinkRequestData{ifInfo(i.parent)}
	if i.nsid != noNSID {
		query = append(query, nl.NewRtAttr(unix.IFLA_TARGET_NETNSID, nl.Uint32Attr(uint32(i.nsid))))
	}
	peer, err := i.NetNS.lookUp(query...)
	if errors.Is(err, unix.ENODEV) {
		return nil, fmt.Errorf("%w: the peer of %s is gone", ErrNoInterface, i.Name)
	}
	return peer, errs.Wrapf(err, "looking up the peer of %s", i.Name)
}

// openRoute makes a rtnetlink socket in the calling thread's namespace. The kernel's
// own explanation of an error (NETLINK_EXT_ACK) becomes part of it.
func openRoute() (*nl.SocketHandle, error) {
	// Subscribed to no group, it is a plain socket.
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(
		socket.SetExtAck(true),
		socket.SetSendTimeout(&nl.SocketTimeoutTv),
		socket.SetReceiveTimeout(&nl.SocketTimeoutTv),
	); err != nil {
		socket.Close()
		return nil, err
	}
	return &nl.SocketHandle{Socket: socket}, nil
}

// request sends one rtnetlink message in the namespace and returns the answers of
// type answer.
func (n *NetNS) request(kind, flags int, answer uint16, data ...nl.NetlinkRequestData) ([][]byte, error) {
	req := nl.NewNetlinkRequest(kind, flags)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: n.rtnl}
	for _, d := range data {
		req.AddData(d)
	}
	return req.Execute(unix.NETLINK_ROUTE, answer)
}

// ifInfo is the head of a message about the interface of that index.
func ifInfo(index int) *nl.IfInfomsg {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	return msg
}

// rtextFilterSkipStats is RTEXT_FILTER_SKIP_STATS of linux/rtnetlink.h.
const rtextFilterSkipStats = 1 << 3

// getLinks returns the payload of each RTM_NEWLINK message that answers the query, without
// statistics.
func (n *NetNS) getLinks(flags int, query ...nl.NetlinkRequestData) ([][]byte, error) {
	noStats := nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(rtextFilterSkipStats))
	return n.request(unix.RTM_GETLINK, flags, unix.RTM_NEWLINK, append(query, noStats)...)
}

// linkMessage returns the payload of the RTM_NEWLINK message for the one link that
// query describes.
func (n *NetNS) linkMessage(query ...nl.NetlinkRequestData) ([]byte, error) {
	answers, err := n.getLinks(0, query...)
	if err != nil {
		return nil, err
	}
	if len(answers) != 1 {
		return nil, fmt.Errorf("%d answers to a question for one link", len(answers))
	}
	return answers[0], nil
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

// noNSID is the kernel's NETNSA_NSID_NOT_ASSIGNED: what an interface says whose
// other end is in its own namespace, and a namespace that has no number yet.
const noNSID = unix.NETNSA_NSID_NOT_ASSIGNED

// nsid returns the number by which namespace n knows namespace other (see
// RTM_GETNSID in rtnetlink(7)): noNSID for itself and for one it does not know.
func (n *NetNS) nsid(other *NetNS) (int, error) {
	if n.cookie == other.cookie {
		return noNSID, nil
	}
	fd := nl.NewRtAttr(unix.NETNSA_FD, nl.Uint32Attr(uint32(other.handle.Fd())))
	answers, err := n.request(unix.RTM_GETNSID, 0, unix.RTM_NEWNSID, nl.NewRtGenMsg(), fd)
	if err != nil {
		return 0, fmt.Errorf("asking network namespace %q for its number of %q: %w", n.path, other.path, err)
	}
	for _, answer := range answers {
		number, err := attribute(answer[nl.DeserializeRtGenMsg(answer).Len():], unix.NETNSA_NSID)
		if err != nil {
			return 0, fmt.Errorf("reading the number of network namespace %q: %w", other.path, err)
		}
		if number != nil {
			return int(int32(binary.NativeEndian.Uint32(number))), nil
		}
	}
	return 0, fmt.Errorf("network namespace %q gave no number of %q", n.path, other.path)
}
