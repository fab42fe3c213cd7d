// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// tap sees the flood's packets that a pod's interface hands to the network stack:
// what XDP drops does not get there.
type tap struct{ fd int }

func newTap(p *pod) (*tap, error) {
	t := new(tap)
	err := p.do(func() error {
		var err error
		t.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		var wire [2]byte
		binary.BigEndian.PutUint16(wire[:], ethertype)
		return unix.Bind(t.fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(wire[:]), Ifindex: p.ifindex})
	})
	if err != nil {
		return nil, fmt.Errorf("opening a packet socket in pod %s: %w", p.name, err)
	}
	return t, nil
}

// seen is how many packets there were since the last call, those included that
// found the socket's buffer full (packet(7), PACKET_STATISTICS).
func (t *tap) seen() (uint64, error) {
	stats, err := unix.GetsockoptTpacketStats(t.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, fmt.Errorf("reading a packet socket's statistics: %w", err)
	}
	return uint64(stats.Packets), nil
}

func (t *tap) close() { unix.Close(t.fd) }
