// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// netnsCookie returns the cookie of the calling thread's namespace, in which socket
// was made. Which way it takes depends on the kernel alone, so that all cookies of
// one boot are of one kind.
func netnsCookie(socket int) (uint64, error) {
	cookie, err := unix.GetsockoptUint64(socket, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if errors.Is(err, unix.ENOPROTOOPT) { // before 5.14
		return socketCookie()
	}
	if err != nil {
		return 0, fmt.Errorf("reading SO_NETNS_COOKIE: %w", err)
	}
	return cookie, nil
}

// netlinkDiagReq is struct netlink_diag_req of linux/netlink_diag.h.
type netlinkDiagReq struct {
	Family   uint8
	Protocol uint8
	_        uint16
	Inode    uint32
	Show     uint32
	Cookie   [2]uint32
}

// netlinkDiagMsg is struct netlink_diag_msg of linux/netlink_diag.h.
type netlinkDiagMsg struct {
	Family    uint8
	Type      uint8
	Protocol  uint8
	State     uint8
	PortID    uint32
	DstPortID uint32
	DstGroup  uint32
	Inode     uint32
	Cookie    [2]uint32 // low half first, see sock_diag_save_cookie
}

// socketCookie returns the socket cookie of the kernel's own NETLINK_ROUTE socket in
// the calling thread's namespace. The kernel makes that socket with the namespace and
// releases it with the namespace, and since 5.4 one counter deals out the cookies of
// all namespaces' sockets (net/core/sock_diag.c). It needs CONFIG_NETLINK_DIAG, which
// `ss -f netlink` needs too.
func socketCookie() (uint64, error) {
	diag, err := binary.Append(nil, binary.NativeEndian, netlinkDiagReq{Family: unix.AF_NETLINK, Protocol: unix.NETLINK_ROUTE})
	if err != nil {
		return 0, fmt.Errorf("encoding struct netlink_diag_req: %w", err)
	}
	req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	req.AddRawData(diag)
	answers, err := req.Execute(unix.NETLINK_SOCK_DIAG, nl.SOCK_DIAG_BY_FAMILY)
	// A dump that others' sockets coming and going interrupted still holds the
	// kernel's socket, which does neither.
	if err != nil && !errors.Is(err, nl.ErrDumpInterrupted) {
		return 0, fmt.Errorf("listing netlink sockets (kernels before 5.14 need CONFIG_NETLINK_DIAG): %w", err)
	}
	for _, answer := range answers {
		var msg netlinkDiagMsg
		if _, err := binary.Decode(answer, binary.NativeEndian, &msg); err != nil {
			return 0, fmt.Errorf("decoding struct netlink_diag_msg: %w", err)
		}
		if msg.PortID == 0 && msg.Protocol == unix.NETLINK_ROUTE { // port 0 is the kernel
			return uint64(msg.Cookie[1])<<32 | uint64(msg.Cookie[0]), nil
		}
	}
	return 0, errors.New("the kernel's own rtnetlink socket is not among the netlink sockets")
}
