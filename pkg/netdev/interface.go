// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

var (
	// ErrNetNSGone is wrapped by every error about a path that leads to no network
	// namespace: it does not exist, it is a stale file, or it is something else.
	ErrNetNSGone = errors.New("no network namespace")

	// ErrNoInterface is wrapped by every error about an interface that is not where
	// it was looked for.
	ErrNoInterface = errors.New("no such interface")

	// ErrNotVeth is wrapped by every error about the peer of an interface that, being
	// no veth, has none.
	ErrNotVeth = errors.New("not a veth")

	// ErrBusy is wrapped by every error about an XDP hook that something else holds;
	// [BusyError] says what.
	ErrBusy = errors.New("XDP hook is busy")

	// ErrCovered is wrapped by every error about a program that netlink cannot change because
	// an interface on top of its own carries one, too. Such errors are about a busy hook
	// as well ([ErrBusy]), but nobody was faster: to try again is in vain.
	ErrCovered = errors.New("an interface on top carries an XDP program")

	// ErrNotAttached is wrapped by every error about a swap of a program that is no
	// longer there, with nothing in its place.
	ErrNotAttached = errors.New("no XDP program attached")

	// ErrUnsupported is wrapped by every error about a mode that the interface cannot
	// take as it is: no driver support, the MTU ([MTUError]), the number of queues
	// ([QueueError]). Mode auto goes on to generic on it.
	ErrUnsupported = errors.New("XDP mode not supported")
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
	return n.newInterface(l), nil
}

// newInterface returns an interface of the namespace as a message describes it.
func (n *NetNS) newInterface(l netlink.Link) *Interface {
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

// peerMTU returns the MTU of a veth's other end, in whatever namespace that is, and
// its name there.
func (i *Interface) peerMTU() (mtu int, name string, err error) {
	query := []nl.NetlinkRequestData{ifInfo(i.parent)}
	if i.nsid != noNSID {
		query = append(query, nl.NewRtAttr(unix.IFLA_TARGET_NETNSID, nl.Uint32Attr(uint32(i.nsid))))
	}
	peer, err := i.NetNS.lookUp(query...)
	if errors.Is(err, unix.ENODEV) {
		return 0, "", fmt.Errorf("%w: the peer of %s is gone", ErrNoInterface, i.Name)
	}
	if err != nil {
		return 0, "", fmt.Errorf("looking up the peer of %s: %w", i.Name, err)
	}
	return peer.MTU, peer.Name, nil
}
