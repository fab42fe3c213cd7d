// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

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
		attrs, err := nl.ParseRouteAttr(answer[nl.DeserializeRtGenMsg(answer).Len():])
		if err != nil {
			return 0, fmt.Errorf("reading the number of network namespace %q: %w", other.path, err)
		}
		for _, attr := range attrs {
			if attr.Attr.Type == unix.NETNSA_NSID {
				return int(int32(binary.NativeEndian.Uint32(attr.Value))), nil
			}
		}
	}
	return 0, fmt.Errorf("network namespace %q gave no number of %q", n.path, other.path)
}
