// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// fate is what has become of a chain that drops UDP to closedPort, as frames show it.
type fate string

const (
	decides fate = "the chain decides"
	open    fate = "all that is sent arrives"
	cut     fate = "nothing arrives"
)

// anywhere opens a packet socket for whatever reaches a network namespace, on any of its
// interfaces: who has CAP_NET_RAW there can see no more.
func anywhere(t *testing.T, ns string) (fd int) {
	t.Helper()
	testenv.InNetNS(t, ns, func() (err error) {
		const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // big endian
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
		return err
	})
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// wantFate sends datagrams out of an interface of the host, and fails the test unless those
// reach a network namespace that are to.
func wantFate(t *testing.T, what, from, ns string, want fate) {
	t.Helper()
	got := fateOf(t, from, ns)
	// An interface that has just come up takes a while until it carries frames.
	for deadline := time.Now().Add(5 * time.Second); got == cut && want != cut && time.Now().Before(deadline); {
		got = fateOf(t, from, ns)
	}
	if got != want {
		t.Errorf("%s: %s, want: %s", what, got, want)
	}
}

// fateOf sends a datagram that the chain drops and one that it lets through, and looks
// which of them arrive.
func fateOf(t *testing.T, from, ns string) fate {
	t.Helper()
	tap := anywhere(t, ns)
	closed, opened := datagram(closedPort), datagram(openPort)
	testenv.Send(t, "", from, closed, opened)
	const timeout = 200 * time.Millisecond
	timeval := unix.NsecToTimeval(int64(timeout))
	if err := unix.SetsockoptTimeval(tap, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeval); err != nil {
		t.Fatal(err)
	}
	leaked := false
	for buffer := make([]byte, 256); ; {
		n, _, err := unix.Recvfrom(tap, buffer, 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return cut
		case err != nil:
			t.Fatal(err)
		case bytes.Equal(buffer[:n], closed):
			leaked = true
		case bytes.Equal(buffer[:n], opened) && leaked: // they keep their order
			return open
		case bytes.Equal(buffer[:n], opened):
			return decides
		}
	}
}

var datagramCount atomic.Uint32

// datagram is a broadcast frame with a UDP datagram to the port, and a payload that no
// other one has.
func datagram(port uint16) []byte {
	text := fmt.Sprintf("datagram %8d", datagramCount.Add(1))
	const ethernet, ip, udp = 14, 20, 8
	f := bytes.Repeat([]byte{0xff}, 6)
	f = append(f, 2, 0, 0, 0, 0, 1)
	f = binary.BigEndian.AppendUint16(f, unix.ETH_P_IP)
	f = append(f, 0x45, 0)
	f = binary.BigEndian.AppendUint16(f, uint16(ip+udp+len(text)))
	f = append(f, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0, 10, 88, 0, 1, 10, 88, 0, 2)
	binary.BigEndian.PutUint16(f[ethernet+10:], checksum(f[ethernet:]))
	f = binary.BigEndian.AppendUint16(f, 40000)
	f = binary.BigEndian.AppendUint16(f, port)
	f = binary.BigEndian.AppendUint16(f, uint16(udp+len(text)))
	f = append(f, 0, 0) // no checksum: allowed with IPv4
	return append(f, text...)
}

// checksum is that of RFC 1071, of an even number of bytes.
func checksum(header []byte) uint16 {
	sum := uint32(0)
	for i := 0; i < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
