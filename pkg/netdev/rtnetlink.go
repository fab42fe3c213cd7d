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

// dumpTries bounds how often the interfaces are listed again that change under our eyes.
const dumpTries = 10

// dumpLinks returns the payload of one RTM_NEWLINK message an interface. A dump that the
// kernel says was interrupted by a change may lack one that was there all along.
func (n *NetNS) dumpLinks() (msgs [][]byte, err error) {
	for range dumpTries {
		msgs, err = n.getLinks(unix.NLM_F_DUMP, nl.NewIfInfomsg(unix.AF_UNSPEC))
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			break
		}
	}
	return msgs, err
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
