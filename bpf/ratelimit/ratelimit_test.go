// SPDX-License-Identifier: Apache-2.0

package ratelimit_test

import (
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	x "github.com/xdp-chain/xdp-chain/bpf/internal/xdptest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// The values of enum limited.
const (
	perSource = 0
	perPod    = 1
)

// globals are the program's by their names; those that are not given keep their
// defaults. Values are of the variables' types.
type globals map[string]any

// spec returns the object with its globals set.
func spec(t testing.TB, g globals) *ebpf.CollectionSpec {
	t.Helper()
	s := x.Spec(t, "ratelimit")
	for name, value := range g {
		if err := s.Variables[name].Set(value); err != nil {
			t.Fatalf("global %s: %v", name, err)
		}
	}
	return s
}

func load(t testing.TB, g globals) *ebpf.Program {
	t.Helper()
	return x.Load(t, spec(t, g)).Programs["ratelimit"]
}

func ipv4(source string, payload []byte, tags ...uint16) []byte {
	h := x.IPv4{Source: netip.MustParseAddr(source), Protocol: x.UDP, TTL: 64}
	return x.Ethernet(x.EtherTypeIPv4, h.Packet(payload), tags...)
}

func ipv6(source string, next uint8, payload []byte, tags ...uint16) []byte {
	h := x.IPv6{Source: netip.MustParseAddr(source), NextHeader: next, HopLimit: 64}
	return x.Ethernet(x.EtherTypeIPv6, h.Packet(payload), tags...)
}

func udp4(source string) []byte { return ipv4(source, x.Segment(53)) }
func udp6(source string) []byte { return ipv6(source, x.UDP, x.Segment(53)) }

func neighbour(kind, hopLimit uint8) []byte {
	h := x.IPv6{Source: netip.MustParseAddr("fe80::1"), NextHeader: x.ICMPv6, HopLimit: hopLimit}
	return x.Ethernet(x.EtherTypeIPv6, h.Packet(x.Message(kind)))
}

// oneEach lets one packet out of each full bucket, which is full again after
// minutes: at one bit a second any frame is larger than what a burst of 0 gives.
func oneEach(g globals) globals {
	all := globals{"bps": uint64(1)}
	for name, value := range g {
		all[name] = value
	}
	return all
}

// Two frames of one bucket: the second is dropped. Of two: it passes.
func TestBuckets(t *testing.T) {
	testenv.ShardByKernel(t, 1)
	tests := []struct {
		name    string
		globals globals
		a, b    []byte
		one     bool
	}{
		{"one host", nil, udp4("10.0.0.1"), udp4("10.0.0.1"), true},
		{"one host, another port", nil, udp4("10.0.0.1"), ipv4("10.0.0.1", x.Segment(80)), true},
		{"one host, with tags", nil, udp4("10.0.0.1"), ipv4("10.0.0.1", x.Segment(53), x.EtherType8021A, x.EtherType8021Q), true},
		{"one host, a later fragment", nil, udp4("10.0.0.1"), x.Ethernet(x.EtherTypeIPv4, x.IPv4{Source: netip.MustParseAddr("10.0.0.1"), Offset: 7}.Packet(nil)), true},
		{"two hosts", nil, udp4("10.0.0.0"), udp4("10.0.0.1"), false},
		{"/31", globals{"ipv4_prefix": uint8(31)}, udp4("10.0.0.0"), udp4("10.0.0.1"), true},
		{"/31, beside", globals{"ipv4_prefix": uint8(31)}, udp4("10.0.0.1"), udp4("10.0.0.2"), false},
		{"/24", globals{"ipv4_prefix": uint8(24)}, udp4("10.0.0.1"), udp4("10.0.0.254"), true},
		{"/24, beside", globals{"ipv4_prefix": uint8(24)}, udp4("10.0.0.1"), udp4("10.0.1.1"), false},
		{"/1", globals{"ipv4_prefix": uint8(1)}, udp4("10.0.0.1"), udp4("127.255.255.255"), true},
		{"/1, the other half", globals{"ipv4_prefix": uint8(1)}, udp4("10.0.0.1"), udp4("128.0.0.1"), false},
		{"/0", globals{"ipv4_prefix": uint8(0)}, udp4("10.0.0.1"), udp4("203.0.113.1"), true},
		{"/0 is not all of IPv6", globals{"ipv4_prefix": uint8(0), "ipv6_prefix": uint8(0)}, udp4("10.0.0.1"), udp6("2001:db8::1"), false},
		{"/33 is /32", globals{"ipv4_prefix": uint8(33)}, udp4("10.0.0.0"), udp4("10.0.0.1"), false},
		{"/255 is /32", globals{"ipv4_prefix": uint8(255)}, udp4("10.0.0.0"), udp4("10.0.0.1"), false},
		{"/255, one host", globals{"ipv4_prefix": uint8(255)}, udp4("10.0.0.1"), udp4("10.0.0.1"), true},

		{"IPv6, one network", nil, udp6("2001:db8::1"), udp6("2001:db8::ffff:ffff:ffff:ffff"), true},
		{"IPv6, two networks", nil, udp6("2001:db8::1"), udp6("2001:db8:0:1::1"), false},
		{"IPv6 /128, one host", globals{"ipv6_prefix": uint8(128)}, udp6("2001:db8::1"), udp6("2001:db8::1"), true},
		{"IPv6 /128, two hosts", globals{"ipv6_prefix": uint8(128)}, udp6("2001:db8::"), udp6("2001:db8::1"), false},
		{"IPv6 /127", globals{"ipv6_prefix": uint8(127)}, udp6("2001:db8::"), udp6("2001:db8::1"), true},
		{"IPv6 /65", globals{"ipv6_prefix": uint8(65)}, udp6("2001:db8::1"), udp6("2001:db8::7fff:0:0:0"), true},
		{"IPv6 /65, beside", globals{"ipv6_prefix": uint8(65)}, udp6("2001:db8::1"), udp6("2001:db8::8000:0:0:0"), false},
		{"IPv6 /63", globals{"ipv6_prefix": uint8(63)}, udp6("2001:db8::1"), udp6("2001:db8:0:1::"), true},
		{"IPv6 /63, beside", globals{"ipv6_prefix": uint8(63)}, udp6("2001:db8::1"), udp6("2001:db8:0:2::"), false},
		{"IPv6 /1", globals{"ipv6_prefix": uint8(1)}, udp6("2001:db8::1"), udp6("fe80::1"), false},
		{"IPv6 /0", globals{"ipv6_prefix": uint8(0)}, udp6("2001:db8::1"), udp6("fe80::1"), true},
		{"IPv6 /255 is /128", globals{"ipv6_prefix": uint8(255)}, udp6("2001:db8::"), udp6("2001:db8::1"), false},
		{"IPv6, behind extension headers", nil, udp6("2001:db8::1"), ipv6("2001:db8::1", x.HopByHop, x.Options(x.UDP, 8, nil)), true},
		{"IPv6, broken extension headers", nil, udp6("2001:db8::1"), ipv6("2001:db8::1", x.HopByHop, nil), true},

		{"the pod, two hosts", globals{"per": uint8(perPod)}, udp4("10.0.0.1"), udp4("203.0.113.1"), true},
		{"the pod, both families", globals{"per": uint8(perPod)}, udp4("10.0.0.1"), udp6("2001:db8::1"), true},
		{"the pod, what is not IP", globals{"per": uint8(perPod)}, udp4("10.0.0.1"), x.Ethernet(x.EtherTypeLLDP, nil), true},

		{"no addresses", nil, x.Ethernet(x.EtherTypeLLDP, nil), x.Ethernet(46, make([]byte, 46)), true},
		{"no address and ::", nil, x.Ethernet(x.EtherTypeLLDP, nil), udp6("::"), true},
		{"no address and a host", nil, x.Ethernet(x.EtherTypeLLDP, nil), udp4("10.0.0.1"), false},
		{"no addresses in three tags", nil, udp6("::"), ipv4("10.0.0.1", nil, x.EtherType8021A, x.EtherType8021Q, x.EtherType8021Q), true},
		{"no address in a cut header", nil, udp6("::"), udp6("2001:db8::1")[:53], true},
		{"an address before broken options", nil, udp4("10.0.0.1"), brokenOptions("10.0.0.1"), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			program := load(t, oneEach(tt.globals))
			if got := x.Run(t, program, tt.a); got != x.Pass {
				t.Fatalf("the first frame: verdict %d", got)
			}
			want := uint32(x.Pass)
			if tt.one {
				want = x.Drop
			}
			if got := x.Run(t, program, tt.b); got != want {
				t.Errorf("the second frame: verdict %d, want %d", got, want)
			}
		})
	}
}

func brokenOptions(source string) []byte {
	frame := udp4(source)
	frame[14] = 4<<4 | 15 // 60 bytes of header, which the frame does not have
	return frame
}

// What brings no traffic but makes it possible is not limited, and takes nothing.
func TestUnlimited(t *testing.T) {
	for _, per := range []uint8{perSource, perPod} {
		program := load(t, oneEach(globals{"per": per}))
		for name, frame := range map[string][]byte{
			"arp":             x.Ethernet(x.EtherTypeARP, make([]byte, 46)),
			"arp in a tag":    x.Ethernet(x.EtherTypeARP, make([]byte, 46), x.EtherType8021Q),
			"a solicitation":  neighbour(135, 255),
			"a advertisement": neighbour(136, 255),
		} {
			for range 3 {
				if got := x.Run(t, program, frame); got != x.Pass {
					t.Errorf("%s: verdict %d", name, got)
				}
			}
		}
		for i, want := range []uint32{x.Pass, x.Drop} {
			if got := x.Run(t, program, neighbour(135, 64)); got != want {
				t.Errorf("solicitation %d that passed a router: verdict %d, want %d", i, got, want)
			}
		}
	}
}

// Every length of a frame is counted, and none is dropped for what it looks like.
func TestEveryLength(t *testing.T) {
	frame := ipv6("2001:db8::1", x.HopByHop, x.Options(x.Fragment, 8, x.FragmentHeader(x.UDP, 0, true, x.Segment(53))), x.EtherType8021A, x.EtherType8021Q)
	unlimited := load(t, globals{"pps": uint32(1), "burst": uint32(1000)})
	limited := load(t, oneEach(globals{"per": uint8(perPod)}))
	x.Run(t, limited, frame)
	for length := x.MinFrame; length <= len(frame); length++ {
		if got := x.Run(t, unlimited, frame[:length]); got != x.Pass {
			t.Errorf("%d bytes: verdict %d, want a pass", length, got)
		}
		if got := x.Run(t, limited, frame[:length]); got != x.Drop {
			t.Errorf("%d bytes: verdict %d, want a drop", length, got)
		}
	}
}

func BenchmarkRatelimit(b *testing.B) {
	unlimited := ^uint32(0)
	for name, g := range map[string]globals{
		"packets":       {"pps": unlimited},
		"packets, over": {"pps": uint32(1)},
		"bits":          {"bps": uint64(1) << 40, "burst": uint32(1000)},
		"both":          {"pps": unlimited, "bps": uint64(1) << 40},
		"pod":           {"pps": unlimited, "per": uint8(perPod)},
	} {
		program := load(b, g)
		b.Run(name, func(b *testing.B) { x.Benchmark(b, program, udp4("10.0.0.1")) })
		b.Run(name+", IPv6", func(b *testing.B) { x.Benchmark(b, program, udp6("2001:db8::1")) })
	}
}

func BenchmarkLoad(b *testing.B) { x.BenchmarkLoad(b, spec(b, nil)) }
