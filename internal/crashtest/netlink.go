// SPDX-License-Identifier: Apache-2.0

package crashtest

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// netlinkChange names the change that a sendto(2) of the process makes to an interface;
// nothing if it makes none. What it is the message's header says (struct nlmsghdr of
// linux/netlink.h) and, for generic netlink, what follows it (struct genlmsghdr).
func netlinkChange(pid int, c *syscallInfo) string {
	header := make([]byte, unix.SizeofNlMsghdr+1)
	from := []unix.RemoteIovec{{Base: uintptr(c.args[1]), Len: len(header)}}
	into := []unix.Iovec{{Base: &header[0]}}
	into[0].SetLen(len(header))
	if n, err := unix.ProcessVMReadv(pid, into, from, 0); err != nil || n < len(header) {
		return ""
	}
	kind, command := binary.NativeEndian.Uint16(header[4:]), header[unix.SizeofNlMsghdr]
	switch {
	case kind == unix.RTM_SETLINK:
		return only(isNetlink(pid, int(c.args[0]), unix.NETLINK_ROUTE), "sendto of RTM_SETLINK")
	case kind > unix.GENL_ID_CTRL && command == unix.ETHTOOL_MSG_FEATURES_SET:
		return only(isNetlink(pid, int(c.args[0]), unix.NETLINK_GENERIC), "sendto of ETHTOOL_MSG_FEATURES_SET")
	}
	return ""
}

// isNetlink tells whether a descriptor of the process is a netlink socket of that
// protocol.
func isNetlink(pid, fd, protocol int) bool {
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
	got, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && got == protocol
}
