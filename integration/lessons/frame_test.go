// SPDX-License-Identifier: Apache-2.0

package lessons

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync/atomic"
)

// Protocols and EtherTypes of the frames.
const (
	typeIPv4       = 0x0800
	typeIPv6       = 0x86dd
	typeVLAN       = 0x8100
	typeService    = 0x88a8
	typeExperiment = 0x88b5 // ETH_P_EXPERIMENT of bpf/tally.h

	protocolICMP   = 1
	protocolTCP    = 6
	protocolUDP    = 17
	protocolICMPv6 = 58
)

// What programs return, enum xdp_action of linux/bpf.h.
const (
	aborted = 0
	drop    = 1
	pass    = 2
)

type mac = [6]byte

var (
	here  = mac{2, 0, 0, 0, 0, 1} // of the sender
	there = mac{2, 0, 0, 0, 0, 2}
)

// ethernet makes a frame behind VLAN tags, each an EtherType and a VLAN.
func ethernet(to, from mac, etherType uint16, payload []byte, tags ...uint16) []byte {
	frame := slices.Concat(to[:], from[:])
	for _, word := range append(tags, etherType) {
		frame = binary.BigEndian.AppendUint16(frame, word)
	}
	return append(frame, payload...)
}

const sign = "a lesson's frame "

var frameCount atomic.Uint32

// signed makes the end of a frame that is ours, and that no other has.
func signed() []byte {
	return binary.BigEndian.AppendUint32([]byte(sign), frameCount.Add(1))
}

func isOurs(frame []byte) bool { return bytes.Contains(frame, []byte(sign)) }

// sameEnd tells whether two frames are the same one, whatever was done to the headers.
func sameEnd(a, b []byte) bool {
	n := len(sign) + 4
	return len(a) > n && len(b) > n && bytes.Equal(a[len(a)-n:], b[len(b)-n:])
}

// asking makes a frame that asks the programs which count for an action.
func asking(action byte) []byte {
	return ethernet(there, here, typeExperiment, append([]byte{action}, signed()...))
}

// ip makes an IPv4 or IPv6 packet, according to the addresses, with right checksums: the
// payload's own is that many bytes in it.
func ip(from, to netip.Addr, protocol byte, payload []byte, at int) []byte {
	var header []byte
	if from.Is4() {
		header = []byte{0x45, 0, 0, 0, 0, 0, 0, 0, ttl, protocol, 0, 0}
		binary.BigEndian.PutUint16(header[2:], uint16(20+len(payload)))
		header = slices.Concat(header, from.AsSlice(), to.AsSlice())
		binary.BigEndian.PutUint16(header[10:], checksum(header))
	} else {
		header = []byte{0x60, 0, 0, 0, 0, 0, protocol, ttl}
		binary.BigEndian.PutUint16(header[4:], uint16(len(payload)))
		header = slices.Concat(header, from.AsSlice(), to.AsSlice())
	}
	packet := slices.Concat(header, payload)
	binary.BigEndian.PutUint16(packet[len(header)+at:], transportSum(packet))
	return packet
}

const ttl = 64

// checksum is the Internet checksum (RFC 1071): 0 of what has a right one in it.
func checksum(parts ...[]byte) uint16 {
	data := slices.Concat(parts...)
	if len(data)%2 == 1 {
		data = append(data, 0)
	}
	var sum uint32
	for i := 0; i < len(data); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// transportSum is the checksum over a packet's payload and, where the protocol has it so,
// the addresses.
func transportSum(packet []byte) uint16 {
	header, addresses, protocol := 20, 12, packet[9]
	if packet[0]>>4 == 6 {
		header, addresses, protocol = 40, 8, packet[6]
	}
	if protocol == protocolICMP {
		return checksum(packet[header:])
	}
	pseudo := binary.BigEndian.AppendUint32([]byte{0, protocol}, uint32(len(packet)-header))
	return checksum(packet[addresses:header], pseudo, packet[header:])
}

// echo is an echo request, or what else has the type, of ICMP or ICMPv6.
func echo(from, to netip.Addr, kind byte, sequence uint16) []byte {
	protocol := byte(protocolICMP)
	if from.Is6() {
		protocol = protocolICMPv6
	}
	message := binary.BigEndian.AppendUint16([]byte{kind, 0, 0, 0, 0x12, 0x34}, sequence)
	return ip(from, to, protocol, append(message, signed()...), 2)
}

// datagram is a UDP packet.
func datagram(from, to netip.Addr, port uint16) []byte {
	payload := signed()
	header := binary.BigEndian.AppendUint16([]byte{0x9c, 0x40}, port)
	header = binary.BigEndian.AppendUint16(header, uint16(8+len(payload)))
	return ip(from, to, protocolUDP, slices.Concat(header, []byte{0, 0}, payload), 6)
}

// segment is a TCP packet.
func segment(from, to netip.Addr, port uint16) []byte {
	header := binary.BigEndian.AppendUint16([]byte{0x9c, 0x40}, port)
	header = append(header, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0)
	return ip(from, to, protocolTCP, append(header, signed()...), 16)
}

var (
	v4From, v4To = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	v6From, v6To = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
)
