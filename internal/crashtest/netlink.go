// SPDX-License-Identifier: Apache-2.0

package crashtest

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// setsLink tells whether a sendto(2) of the process sends a message that changes an
// interface: its header (struct nlmsghdr of linux/netlink.h) says RTM_SETLINK, and
// its socket is one of rtnetlink.
func setsLink(pid int, c *syscallInfo) bool {
	header := make([]byte, unix.SizeofNlMsghdr)
	from := []unix.RemoteIovec{{Base: uintptr(c.args[1]), Len: len(header)}}
	into := []unix.Iovec{{Base: &header[0]}}
	into[0].SetLen(len(header))
	if n, err := unix.ProcessVMReadv(pid, into, from, 0); err != nil || n < len(header) {
		return false
	}
	return binary.NativeEndian.Uint16(header[4:]) == unix.RTM_SETLINK && isRoute(pid, int(c.args[0]))
}

// isRoute tells whether a descriptor of the process is a socket of rtnetlink.
func isRoute(pid, fd int) bool {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(process)
	socket, err := unix.PidfdGetfd(process, fd, 0)
	if err != nil {
		return false
	}
	defer unix.Close(socket)
	domain, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_NETLINK {
		return false
	}
	protocol, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && protocol == unix.NETLINK_ROUTE
}
