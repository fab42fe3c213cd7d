// SPDX-License-Identifier: Apache-2.0

package acl_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	x "github.com/xdp-chain/xdp-chain/bpf/internal/xdptest"
)

// packet describes one that the model decides on and that frame builds.
type packet struct {
	source   netip.Addr
	protocol uint8
	port     uint16
	later    bool // a later fragment
	wrap     int  // which way to dress it: see frame
}

// frame builds the packet: plain, or with VLAN tags, options, extension headers or
// as a first fragment, none of which changes what the rules say.
func (p packet) frame() []byte {
	payload := x.Segment(p.port)
	tags := [][]uint16{nil, {x.EtherType8021Q}, {x.EtherType8021A, x.EtherType8021Q}}[p.wrap%3]
	offset := uint16(0)
	if p.later {
		offset = 100
		payload = make([]byte, 24)
	}
	if p.source.Is4() {
		h := x.IPv4{Source: p.source, Protocol: p.protocol, Options: p.wrap % 11 * 4, Offset: offset, More: p.wrap%2 == 0}
		return x.Ethernet(x.EtherTypeIPv4, h.Packet(payload), tags...)
	}
	next := p.protocol
	if p.later || p.wrap%4 == 1 {
		payload, next = x.FragmentHeader(next, offset, p.wrap%2 == 0, payload), x.Fragment
	}
	if p.wrap%5 == 1 {
		payload, next = x.Authentication(next, 12+4*(p.wrap%7), payload), x.AH
	}
	for i := range p.wrap % 4 {
		payload, next = x.Options(next, 8+8*(p.wrap%9), payload), []uint8{x.DestOptions, x.Routing, x.HopByHop}[i]
	}
	return x.Ethernet(x.EtherTypeIPv6, x.IPv6{Source: p.source, NextHeader: next, HopLimit: 64}.Packet(payload), tags...)
}

// decide is the acl's meaning as the README has it.
func decide(rules []rule, defaultAction uint8, p packet) uint32 {
	action := defaultAction
	for _, r := range rules {
		if r == (rule{}) {
			break
		}
		if r.matches(p) {
			action = r.Action
			break
		}
	}
	if action == allow {
		return x.Pass
	}
	return x.Drop
}

func (r rule) matches(p packet) bool {
	anySource := !r.Source.IsValid() || r.Source == netip.MustParsePrefix("::/0")
	if !anySource && !r.Source.Contains(p.source) {
		return false
	}
	if r.Protocol != 0 && r.Protocol != p.protocol {
		return false
	}
	if r.First == 0 && r.Last == 0 {
		return true
	}
	if p.later {
		return r.Action == allow
	}
	switch p.protocol {
	case x.TCP, x.UDP, x.SCTP:
		return r.First <= p.port && (p.port <= r.Last || r.Last == 0 && p.port == r.First)
	}
	return false
}

// generator makes rules and packets that often meet.
type generator struct{ *rand.Rand }

func (g generator) address() netip.Addr {
	if g.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte{10, byte(g.IntN(2)), byte(g.IntN(2)) << 7, byte(g.IntN(4))})
	}
	a := [16]byte{0x20, 0x01, 0x0d, 0xb8, 7: byte(g.IntN(4)), 8: byte(g.IntN(2)) << 7, 15: byte(g.IntN(4))}
	return netip.AddrFrom16(a)
}

func (g generator) protocol() uint8 {
	return []uint8{x.TCP, x.UDP, x.SCTP, x.ICMP, x.ICMPv6, x.GRE, x.ESP, x.NoNext}[g.IntN(8)]
}

func (g generator) port() uint16 {
	return []uint16{0, 1, 22, 23, 80, 1023, 1024, 65534, 65535, uint16(g.Uint32())}[g.IntN(10)]
}

func (g generator) rule() rule {
	r := rule{Action: uint8(deny + g.IntN(2))}
	if g.IntN(4) > 0 {
		a := g.address()
		r.Source = netip.PrefixFrom(a, g.IntN(a.BitLen()+1)).Masked()
		if a.Is6() && r.Source.Addr().IsUnspecified() {
			r.Source = netip.MustParsePrefix("::/0") // ::/1 holds IPv4, which Contains does not know
		}
	}
	if g.IntN(2) == 0 {
		r.Protocol = g.protocol()
	}
	if g.IntN(2) == 0 {
		r.First, r.Last = g.port(), g.port()
	}
	return r
}

func (g generator) packet() packet {
	return packet{
		source: g.address(), protocol: g.protocol(), port: g.port(),
		later: g.IntN(8) == 0, wrap: g.IntN(1 << 16),
	}
}

// orShort is how often something is tried, and how often where tests are to be short:
// in integration/vm a run of a program costs up to ten milliseconds, on kernel 5.10,
// which patches its own code for each.
func orShort(times, short int) int {
	if testing.Short() {
		return short
	}
	return times
}

// The program and the model agree on random rules and packets, over the bounds of
// a round of rules and up to a full list.
func TestAgreesWithTheModel(t *testing.T) {
	for _, defaultAction := range []uint8{deny, allow} {
		for _, size := range []int{0, 1, 3, 4, 5, 17, 255, 256} {
			t.Run(fmt.Sprintf("%d rules, default %d", size, defaultAction), func(t *testing.T) {
				g := generator{rand.New(rand.NewPCG(uint64(size), uint64(defaultAction)))}
				for range orShort(10, 2) {
					rules := make([]rule, size)
					for i := range rules {
						rules[i] = g.rule()
						if size > 40 && i < size-10 {
							rules[i].Protocol, rules[i].First, rules[i].Last = 200, 0, 0 // meets no packet
						}
					}
					program := load(t, defaultAction, rules...)
					for range orShort(200, 50) {
						p := g.packet()
						if got, want := x.Run(t, program, p.frame()), decide(rules, defaultAction, p); got != want {
							t.Fatalf("verdict %d, want %d\npacket %+v\nframe %x\nrules %+v", got, want, p, p.frame(), rules)
						}
					}
				}
			})
		}
	}
}
