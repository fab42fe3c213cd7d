// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// Send sends Ethernet frames, destination address first, out of an interface of
// the network namespace at nsPath ("": the one the tests run in). The veth peer of
// that interface receives them, and its XDP program sees them.
func Send(t testing.TB, nsPath, ifname string, frames ...[]byte) {
	t.Helper()
	InNetNS(t, nsPath, func() error {
		iface, err := net.InterfaceByName(ifname)
		if err != nil {
			return err
		}
		// Protocol 0: the socket sends and receives nothing.
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening a packet socket: %w", err)
		}
		defer unix.Close(fd)
		for i, frame := range frames {
			if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: iface.Index}); err != nil {
				return fmt.Errorf("sending frame %d of %d, %d bytes, out of %s: %w", i+1, len(frames), len(frame), ifname, err)
			}
		}
		return nil
	})
}
