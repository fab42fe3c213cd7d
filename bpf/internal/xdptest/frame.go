// SPDX-License-Identifier: Apache-2.0

package xdptest

import (
	"encoding/binary"
	"net/netip"
)

// EtherTypes (linux/if_ether.h).
const (
	EtherTypeIPv4  = 0x0800
	EtherTypeARP   = 0x0806
	EtherType8021Q = 0x8100
	EtherTypeIPv6  = 0x86dd
	EtherType8021A = 0x88a8 // 802.1ad
	EtherTypeLLDP  = 0x88cc
)

// IP protocols and IPv6 extension headers (linux/in.h, linux/in6.h).
const (
	HopByHop    = 0
	ICMP        = 1
	TCP         = 6
	UDP         = 17
	Routing     = 43
	Fragment    = 44
	GRE         = 47
	ESP         = 50
	AH          = 51
	ICMPv6      = 58
	NoNext      = 59
	DestOptions = 60
	SCTP        = 132
)

// Ethernet returns a frame with the given EtherType behind the given VLAN tags,
// each an EtherType of its own.
func Ethernet(etherType uint16, payload []byte, tags ...uint16) []byte {
	frame := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	for _, tag := range tags {
		frame = binary.BigEndian.AppendUint16(frame, tag)
		frame = append(frame, 0, 7) // VLAN 7
	}
	frame = binary.BigEndian.AppendUint16(frame, etherType)
	return append(frame, payload...)
}

// IPv4 is a packet's header (RFC 791). What is zero stands as zero in it, but for
// the version and the lengths, which are right.
type IPv4 struct {
	Source      netip.Addr
	Destination netip.Addr
	Protocol    uint8
	TTL         uint8
	Options     int    // bytes of options, a multiple of 4, at most 40
	Offset      uint16 // of a fragment, in units of 8 bytes
	More        bool   // more fragments follow
}

// Packet returns the header with its payload.
func (h IPv4) Packet(payload []byte) []byte {
	p := make([]byte, 20+h.Options, 20+h.Options+len(payload))
	p[0] = 4<<4 | byte(len(p)/4)
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)+len(payload)))
	flags := h.Offset
	if h.More {
		flags |= 1 << 13
	}
	binary.BigEndian.PutUint16(p[6:], flags)
	p[8], p[9] = h.TTL, h.Protocol
	copy(p[12:], h.Source.AsSlice())
	copy(p[16:], h.Destination.AsSlice())
	return append(p, payload...)
}

// IPv6 is a packet's header (RFC 8200).
type IPv6 struct {
	Source      netip.Addr
	Destination netip.Addr
	NextHeader  uint8
	HopLimit    uint8
}

// Packet returns the header with its payload.
func (h IPv6) Packet(payload []byte) []byte {
	p := make([]byte, 40, 40+len(payload))
	p[0] = 6 << 4
	binary.BigEndian.PutUint16(p[4:], uint16(len(payload)))
	p[6], p[7] = h.NextHeader, h.HopLimit
	copy(p[8:], h.Source.AsSlice())
	copy(p[24:], h.Destination.AsSlice())
	return append(p, payload...)
}

// Options returns a hop-by-hop, routing or destination header of size bytes, a
// multiple of 8, in front of the payload.
func Options(next uint8, size int, payload []byte) []byte {
	header := make([]byte, size, size+len(payload))
	header[0], header[1] = next, byte(size/8-1)
	return append(header, payload...)
}

// Authentication returns an AH header of size bytes, a multiple of 4, in front of
// the payload (RFC 4302).
func Authentication(next uint8, size int, payload []byte) []byte {
	header := make([]byte, size, size+len(payload))
	header[0], header[1] = next, byte(size/4-2)
	return append(header, payload...)
}

// FragmentHeader returns an IPv6 fragment header in front of the payload; offset
// is in units of 8 bytes.
func FragmentHeader(next uint8, offset uint16, more bool, payload []byte) []byte {
	header := make([]byte, 8, 8+len(payload))
	header[0] = next
	flags := offset << 3
	if more {
		flags |= 1
	}
	binary.BigEndian.PutUint16(header[2:], flags)
	return append(header, payload...)
}

// Segment returns 20 bytes that begin as a header of TCP, UDP or SCTP does: with
// the source port, 40000, and the destination port.
func Segment(destination uint16) []byte {
	s := make([]byte, 20)
	binary.BigEndian.PutUint16(s, 40000)
	binary.BigEndian.PutUint16(s[2:], destination)
	return s
}

// Message returns 8 bytes of ICMP or ICMPv6 of the given type.
func Message(kind uint8) []byte { return []byte{kind, 0, 0, 0, 0, 0, 0, 0} }
