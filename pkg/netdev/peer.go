// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

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
