// SPDX-License-Identifier: Apache-2.0

package acl_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	x "github.com/xdp-chain/xdp-chain/bpf/internal/xdptest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var (
	host4 = netip.MustParseAddr("10.1.2.3")
	host6 = netip.MustParseAddr("2001:db8::1")
	net4  = netip.MustParsePrefix("10.0.0.0/8")
	net6  = netip.MustParsePrefix("2001:db8::/32")
)

func ipv4(protocol uint8, payload []byte, tags ...uint16) []byte {
	return x.Ethernet(x.EtherTypeIPv4, x.IPv4{Source: host4, Protocol: protocol, TTL: 64}.Packet(payload), tags...)
}

func ipv6(next uint8, payload []byte, tags ...uint16) []byte {
	return x.Ethernet(x.EtherTypeIPv6, x.IPv6{Source: host6, NextHeader: next, HopLimit: 64}.Packet(payload), tags...)
}

func neighbour(kind, hopLimit uint8) []byte {
	h := x.IPv6{Source: host6, NextHeader: x.ICMPv6, HopLimit: hopLimit}
	return x.Ethernet(x.EtherTypeIPv6, h.Packet(x.Message(kind)))
}

func fragment4(offset uint16, more bool, payload []byte) []byte {
	return x.Ethernet(x.EtherTypeIPv4, x.IPv4{Source: host4, Protocol: x.UDP, Offset: offset, More: more}.Packet(payload))
}

func fragment6(offset uint16, more bool, payload []byte) []byte {
	return ipv6(x.Fragment, x.FragmentHeader(x.UDP, offset, more, payload))
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestRules(t *testing.T) {
	tcp80, tcp22 := ipv4(x.TCP, x.Segment(80)), ipv4(x.TCP, x.Segment(22))
	tests := []struct {
		name          string
		defaultAction uint8
		rules         []rule
		frame         []byte
		want          uint32
	}{
		{"no rules, default allow", allow, nil, tcp80, x.Pass},
		{"no rules, default deny", deny, nil, tcp80, x.Drop},
		{"no rules, default unset", unset, nil, tcp80, x.Drop},
		{"first match, not last", deny, []rule{{Source: prefix("10.1.0.0/16"), Action: allow}, {Source: net4, Action: deny}}, tcp80, x.Pass},
		{"first match, not best", allow, []rule{{Source: net4, Action: deny}, {Source: prefix("10.1.2.3/32"), Action: allow}}, tcp80, x.Drop},
		{"all IPv4 is not IPv6", allow, []rule{{Source: prefix("0.0.0.0/0"), Action: deny}}, ipv6(x.TCP, x.Segment(80)), x.Pass},
		{"all IPv4", allow, []rule{{Source: prefix("0.0.0.0/0"), Action: deny}}, tcp80, x.Drop},
		{"::/0 is everything", allow, []rule{{Source: prefix("::/0"), Action: deny}}, tcp80, x.Drop},
		{"no source is everything", allow, []rule{{Action: deny}}, ipv6(x.TCP, x.Segment(80)), x.Drop},
		{"IPv6 prefix", allow, []rule{{Source: net6, Action: deny}}, ipv6(x.TCP, x.Segment(80)), x.Drop},
		{"IPv6 host", allow, []rule{{Source: prefix("2001:db8::1/128"), Action: deny}}, ipv6(x.TCP, x.Segment(80)), x.Drop},
		{"IPv6 neighbour", allow, []rule{{Source: prefix("2001:db8::2/128"), Action: deny}}, ipv6(x.TCP, x.Segment(80)), x.Pass},
		{"port", allow, []rule{{First: 22, Action: deny}}, tcp22, x.Drop},
		{"port beside", allow, []rule{{First: 22, Action: deny}}, tcp80, x.Pass},
		{"range's ends", allow, []rule{{First: 22, Last: 80, Action: deny}}, tcp80, x.Drop},
		{"range from 0", allow, []rule{{Last: 1023, Action: deny}}, tcp80, x.Drop},
		{"range the wrong way round", allow, []rule{{First: 80, Last: 22, Action: deny}}, tcp80, x.Pass},
		{"ports of a protocol that has none", allow, []rule{{Last: 65535, Action: deny}}, ipv4(x.ICMP, x.Message(8)), x.Pass},
		{"another protocol", allow, []rule{{Protocol: x.UDP, Action: deny}}, tcp80, x.Pass},
		{"ICMP", allow, []rule{{Protocol: x.ICMP, Action: deny}}, ipv4(x.ICMP, x.Message(8)), x.Drop},
		{"a rule without an action denies all from there on", allow, []rule{{Source: net6}}, tcp80, x.Drop},
		{"a rule before one without an action", deny, []rule{{Source: net4, Action: allow}, {Source: net4}}, tcp80, x.Pass},
		{"an unset rule ends the list", allow, []rule{{Source: net6, Action: deny}, {}, {Action: deny}}, tcp80, x.Pass},
		{"the last of all rules", allow, append(slices.Repeat([]rule{{Source: net6, Action: deny}}, 255), rule{Action: deny}), tcp80, x.Drop},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := x.Run(t, load(t, tt.defaultAction, tt.rules...), tt.frame); got != tt.want {
				t.Errorf("verdict %d, want %d", got, tt.want)
			}
		})
	}
}

// What the frame looks like beside what rules match: with the rule "deny tcp 22"
// and default allow, and with "allow tcp 22" and default deny.
func TestFrames(t *testing.T) {
	chain := func(n int, payload []byte) []byte {
		for range n - 1 {
			payload = x.Options(x.DestOptions, 8, payload)
		}
		return payload
	}
	mapped := x.IPv6{Source: netip.AddrFrom16(host4.As16()), NextHeader: x.TCP, HopLimit: 64}
	tests := []struct {
		name                   string
		frame                  []byte
		denyMatch, defaultDeny uint32
	}{
		{"plain", ipv4(x.TCP, x.Segment(22)), x.Drop, x.Pass},
		{"one tag", ipv4(x.TCP, x.Segment(22), x.EtherType8021Q), x.Drop, x.Pass},
		{"two tags", ipv4(x.TCP, x.Segment(22), x.EtherType8021A, x.EtherType8021Q), x.Drop, x.Pass},
		{"two tags, IPv6", ipv6(x.TCP, x.Segment(22), x.EtherType8021A, x.EtherType8021Q), x.Drop, x.Pass},
		{"three tags", ipv4(x.TCP, x.Segment(80), x.EtherType8021A, x.EtherType8021Q, x.EtherType8021Q), x.Drop, x.Drop},
		{"longest options", x.Ethernet(x.EtherTypeIPv4, x.IPv4{Source: host4, Protocol: x.TCP, Options: 40}.Packet(x.Segment(22))), x.Drop, x.Pass},
		{"hop-by-hop", ipv6(x.HopByHop, x.Options(x.TCP, 8, x.Segment(22))), x.Drop, x.Pass},
		{"routing", ipv6(x.Routing, x.Options(x.TCP, 24, x.Segment(22))), x.Drop, x.Pass},
		{"destination options", ipv6(x.DestOptions, x.Options(x.TCP, 2048, x.Segment(22))), x.Drop, x.Pass},
		{"authentication", ipv6(x.AH, x.Authentication(x.TCP, 24, x.Segment(22))), x.Drop, x.Pass},
		{"atomic fragment", ipv6(x.Fragment, x.FragmentHeader(x.TCP, 0, false, x.Segment(22))), x.Drop, x.Pass},
		{"eight extension headers", ipv6(x.DestOptions, chain(8, x.Options(x.TCP, 8, x.Segment(22)))), x.Drop, x.Pass},
		{"nine extension headers", ipv6(x.DestOptions, chain(9, x.Options(x.TCP, 8, x.Segment(80)))), x.Drop, x.Drop},
		{"encrypted", ipv6(x.ESP, x.Segment(22)), x.Pass, x.Drop},
		{"no next header", ipv6(x.NoNext, nil), x.Pass, x.Drop},
		{"IPv6 from an IPv4-mapped address", x.Ethernet(x.EtherTypeIPv6, mapped.Packet(x.Segment(80))), x.Drop, x.Drop},
		{"arp", x.Ethernet(x.EtherTypeARP, make([]byte, 46)), x.Pass, x.Pass},
		{"arp in a VLAN", x.Ethernet(x.EtherTypeARP, make([]byte, 46), x.EtherType8021Q), x.Pass, x.Pass},
		{"lldp", x.Ethernet(x.EtherTypeLLDP, make([]byte, 46)), x.Pass, x.Drop},
		{"802.3", x.Ethernet(46, make([]byte, 46)), x.Pass, x.Drop},
		{"neighbour solicitation", neighbour(135, 255), x.Pass, x.Pass},
		{"neighbour advertisement", neighbour(136, 255), x.Pass, x.Pass},
		{"neighbour solicitation from afar", neighbour(135, 254), x.Pass, x.Drop},
		{"router advertisement", neighbour(134, 255), x.Pass, x.Drop},
		{"echo", neighbour(128, 255), x.Pass, x.Drop},
	}
	denying := load(t, allow, rule{Protocol: x.TCP, First: 22, Action: deny})
	allowing := load(t, deny, rule{Protocol: x.TCP, First: 22, Action: allow})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := x.Run(t, denying, tt.frame); got != tt.denyMatch {
				t.Errorf("deny tcp 22, default allow: verdict %d, want %d", got, tt.denyMatch)
			}
			if got := x.Run(t, allowing, tt.frame); got != tt.defaultDeny {
				t.Errorf("allow tcp 22, default deny: verdict %d, want %d", got, tt.defaultDeny)
			}
		})
	}
}

func TestFragments(t *testing.T) {
	denyPort, allowPort := rule{Protocol: x.UDP, First: 53, Action: deny}, rule{Protocol: x.UDP, First: 53, Action: allow}
	tests := []struct {
		name          string
		defaultAction uint8
		rule          rule
		first, later  uint32
	}{
		{"deny by port", allow, denyPort, x.Drop, x.Pass},
		{"allow by port", deny, allowPort, x.Pass, x.Pass},
		{"allow by another port", deny, rule{Protocol: x.UDP, First: 54, Action: allow}, x.Drop, x.Pass},
		{"allow another protocol by port", deny, rule{Protocol: x.TCP, First: 53, Action: allow}, x.Drop, x.Drop},
		{"deny the protocol", allow, rule{Protocol: x.UDP, Action: deny}, x.Drop, x.Drop},
		{"default deny", deny, rule{Protocol: x.TCP, Action: allow}, x.Drop, x.Drop},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			program := load(t, tt.defaultAction, tt.rule)
			for name, f := range map[string]struct {
				frame []byte
				want  uint32
			}{
				"first, IPv4":                      {fragment4(0, true, x.Segment(53)), tt.first},
				"later, IPv4":                      {fragment4(1, true, x.Segment(53)), tt.later},
				"last, IPv4":                       {fragment4(8191, false, nil), tt.later},
				"first, IPv6":                      {fragment6(0, true, x.Segment(53)), tt.first},
				"later, IPv6":                      {fragment6(1, true, x.Segment(53)), tt.later},
				"last, IPv6":                       {fragment6(8191, false, nil), tt.later},
				"first without its ports, IPv4":    {fragment4(0, true, x.Segment(53)[:3]), x.Drop},
				"first without its ports, IPv6":    {fragment6(0, true, x.Segment(53)[:3]), x.Drop},
				"first that ends in its extension": {fragment6(0, true, nil), x.Drop},
			} {
				if got := x.Run(t, program, f.frame); got != f.want {
					t.Errorf("%s: verdict %d, want %d", name, got, f.want)
				}
			}
		})
	}
}

// A packet that ends before the last header the rules need is dropped, whatever
// the default; a whole one passes here.
func TestEveryLength(t *testing.T) {
	hops := x.Options(x.Fragment, 16, x.FragmentHeader(x.AH, 0, true, x.Authentication(x.TCP, 24, x.Segment(80))))
	tests := []struct {
		name  string
		frame []byte
		needs int // bytes of the frame
	}{
		{"IPv4", ipv4(x.TCP, x.Segment(80)), 14 + 20 + 4},
		{"IPv4 without ports", ipv4(x.GRE, x.Segment(80)), 14 + 20},
		{"IPv4 with options and tags", x.Ethernet(x.EtherTypeIPv4, x.IPv4{Source: host4, Protocol: x.SCTP, Options: 12}.Packet(x.Segment(80)), x.EtherType8021A, x.EtherType8021Q), 14 + 8 + 32 + 4},
		{"later fragment", fragment4(7, false, x.Segment(80)), 14 + 20},
		{"IPv6", ipv6(x.UDP, x.Segment(80)), 14 + 40 + 4},
		{"IPv6 with extension headers and tags", ipv6(x.HopByHop, hops, x.EtherType8021A, x.EtherType8021Q), 14 + 8 + 40 + 48 + 4},
		{"ICMPv6", ipv6(x.ICMPv6, x.Message(128)), 14 + 40 + 1},
		{"arp", x.Ethernet(x.EtherTypeARP, make([]byte, 46)), x.MinFrame},
	}
	program := load(t, allow, rule{Source: prefix("192.0.2.0/24"), First: 1, Action: deny})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for length := x.MinFrame; length <= len(tt.frame); length++ {
				want := uint32(x.Drop)
				if length >= tt.needs {
					want = x.Pass
				}
				if got := x.Run(t, program, tt.frame[:length]); got != want {
					t.Errorf("%d bytes: verdict %d, want %d", length, got, want)
				}
			}
		})
	}
}

// Headers whose fields are wrong are dropped.
func TestBrokenHeaders(t *testing.T) {
	tests := []struct {
		name  string
		frame []byte
		at    int
		value byte
	}{
		{"IPv4 with another version", ipv4(x.TCP, x.Segment(80)), 14, 0x65},
		{"IPv4 header under 20 bytes", ipv4(x.TCP, x.Segment(80)), 14, 0x44},
		{"IPv4 header of none", ipv4(x.TCP, x.Segment(80)), 14, 0x40},
		{"IPv4 header past the end", ipv4(x.TCP, x.Segment(80)), 14, 0x4f},
		{"IPv6 with another version", ipv6(x.TCP, x.Segment(80)), 14, 0x40},
		{"extension header past the end", ipv6(x.HopByHop, x.Options(x.TCP, 8, x.Segment(80))), 55, 3},
	}
	program := load(t, allow)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := x.Run(t, program, tt.frame); got != x.Pass {
				t.Fatalf("unbroken: verdict %d", got)
			}
			tt.frame[tt.at] = tt.value
			if got := x.Run(t, program, tt.frame); got != x.Drop {
				t.Errorf("verdict %d, want a drop", got)
			}
		})
	}
}

// Whatever comes, the verdict is one of the two.
func TestRandomFrames(t *testing.T) {
	program := load(t, allow, rule{Protocol: x.TCP, First: 1, Last: 30000, Action: deny})
	g := generator{rand.New(rand.NewPCG(1, 2))}
	for range orShort(20000, 1000) {
		frame := g.packet().frame()
		frame = frame[:x.MinFrame+g.IntN(len(frame)-x.MinFrame+1)]
		for range g.IntN(8) {
			frame[12+g.IntN(len(frame)-12)] = byte(g.Uint32())
		}
		if got := x.Run(t, program, frame); got != x.Drop && got != x.Pass {
			t.Fatalf("verdict %d for frame %x", got, frame)
		}
	}
}

// A frame of several buffers is decided on by its first.
func TestFramesOfSeveralBuffers(t *testing.T) {
	testenv.NeedKernel(t, testenv.HaveFrags())
	program := load(t, allow, rule{Protocol: x.TCP, First: 22, Action: deny})
	for port, want := range map[uint16]uint32{22: x.Drop, 80: x.Pass} {
		frame := ipv6(x.TCP, append(x.Segment(port), make([]byte, 8000)...))
		if got := x.Run(t, program, frame); got != want {
			t.Errorf("port %d: verdict %d, want %d", port, got, want)
		}
	}
}

func BenchmarkACL(b *testing.B) {
	for _, n := range []int{0, 1, 10, 100, 256} {
		rules := make([]rule, n)
		for i := range rules {
			rules[i] = rule{Source: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, byte(i), 0}), 24), Protocol: x.TCP, First: 80, Action: deny}
		}
		program := load(b, allow, rules...)
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			x.Benchmark(b, program, ipv4(x.TCP, x.Segment(80)))
		})
	}
}

func BenchmarkLoad(b *testing.B) { x.BenchmarkLoad(b, x.Spec(b, "acl")) }
