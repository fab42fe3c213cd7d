// SPDX-License-Identifier: Apache-2.0

package count_test

import (
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	x "github.com/xdp-chain/xdp-chain/bpf/internal/xdptest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// class is struct traffic_class of count.c.
type class struct {
	EtherType uint32
	Protocol  uint32
}

// traffic is struct traffic of count.c.
type traffic struct{ Packets, Bytes uint64 }

func sum(perCPU []traffic) (total traffic) {
	for _, t := range perCPU {
		total.Packets += t.Packets
		total.Bytes += t.Bytes
	}
	return total
}

// counts returns the map's rows, summed over the CPUs.
func counts(t testing.TB, m *ebpf.Map) map[class]traffic {
	t.Helper()
	rows := map[class]traffic{}
	var key class
	var perCPU []traffic
	entries := m.Iterate()
	for entries.Next(&key, &perCPU) {
		rows[key] = sum(perCPU)
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

var (
	v4 = x.IPv4{Source: netip.MustParseAddr("192.0.2.1"), TTL: 64}
	v6 = x.IPv6{Source: netip.MustParseAddr("2001:db8::1"), HopLimit: 64}
)

func ipv4(protocol uint8, payload []byte) []byte {
	h := v4
	h.Protocol = protocol
	return h.Packet(payload)
}

func ipv6(next uint8, payload []byte) []byte {
	h := v6
	h.NextHeader = next
	return h.Packet(payload)
}

func TestClasses(t *testing.T) {
	tests := []struct {
		name  string
		frame []byte
		want  class
	}{
		{"tcp", x.Ethernet(x.EtherTypeIPv4, ipv4(x.TCP, x.Segment(80))), class{EtherType: x.EtherTypeIPv4, Protocol: x.TCP}},
		{"udp over IPv6", x.Ethernet(x.EtherTypeIPv6, ipv6(x.UDP, x.Segment(53))), class{EtherType: x.EtherTypeIPv6, Protocol: x.UDP}},
		{"options", x.Ethernet(x.EtherTypeIPv4, x.IPv4{Source: v4.Source, Protocol: x.SCTP, Options: 40}.Packet(x.Segment(80))), class{EtherType: x.EtherTypeIPv4, Protocol: x.SCTP}},
		{"extension headers", x.Ethernet(x.EtherTypeIPv6, ipv6(x.HopByHop, x.Options(x.DestOptions, 8, x.Options(x.AH, 16, x.Authentication(x.TCP, 24, x.Segment(80)))))), class{EtherType: x.EtherTypeIPv6, Protocol: x.TCP}},
		{"later fragment", x.Ethernet(x.EtherTypeIPv4, x.IPv4{Source: v4.Source, Protocol: x.UDP, Offset: 185}.Packet(make([]byte, 8))), class{EtherType: x.EtherTypeIPv4, Protocol: x.UDP}},
		{"later fragment over IPv6", x.Ethernet(x.EtherTypeIPv6, ipv6(x.Fragment, x.FragmentHeader(x.UDP, 185, false, make([]byte, 8)))), class{EtherType: x.EtherTypeIPv6, Protocol: x.UDP}},
		{"unknown protocol", x.Ethernet(x.EtherTypeIPv4, ipv4(253, nil)), class{EtherType: x.EtherTypeIPv4, Protocol: 253}},
		{"arp", x.Ethernet(x.EtherTypeARP, make([]byte, 46)), class{EtherType: x.EtherTypeARP}},
		{"unknown EtherType", x.Ethernet(0x9999, make([]byte, 46)), class{EtherType: 0x9999}},
		{"802.3", x.Ethernet(46, make([]byte, 46)), class{}},
		{"one tag", x.Ethernet(x.EtherTypeIPv4, ipv4(x.ICMP, x.Message(8)), x.EtherType8021Q), class{EtherType: x.EtherTypeIPv4, Protocol: x.ICMP}},
		{"two tags", x.Ethernet(x.EtherTypeIPv6, ipv6(x.ICMPv6, x.Message(128)), x.EtherType8021A, x.EtherType8021Q), class{EtherType: x.EtherTypeIPv6, Protocol: x.ICMPv6}},
		{"three tags", x.Ethernet(x.EtherTypeIPv6, ipv6(x.TCP, x.Segment(80)), x.EtherType8021A, x.EtherType8021Q, x.EtherType8021Q), class{EtherType: x.EtherType8021Q}},
		{"cut in a tag", x.Ethernet(x.EtherTypeIPv4, nil, x.EtherType8021A)[:16], class{EtherType: x.EtherType8021A}},
		{"cut in IPv4", x.Ethernet(x.EtherTypeIPv4, ipv4(x.TCP, nil)[:19]), class{EtherType: x.EtherTypeIPv4}},
		{"cut in an extension header", x.Ethernet(x.EtherTypeIPv6, ipv6(x.HopByHop, x.Options(x.TCP, 16, nil)[:15])), class{EtherType: x.EtherTypeIPv6}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			coll := x.Load(t, x.Spec(t, "count"))
			for range 3 {
				if verdict := x.Run(t, coll.Programs["count"], tt.frame); verdict != x.Pass {
					t.Errorf("verdict %d", verdict)
				}
			}
			want := map[class]traffic{tt.want: {Packets: 3, Bytes: 3 * uint64(len(tt.frame))}}
			if diff := cmp.Diff(want, counts(t, coll.Maps["traffic"])); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}

// A frame of several buffers shows the program its first one alone.
func TestBytesOfFramesOfSeveralBuffers(t *testing.T) {
	testenv.NeedKernel(t, testenv.HaveFrags())
	coll := x.Load(t, x.Spec(t, "count"))
	frames := map[class][]byte{
		{EtherType: x.EtherTypeIPv4, Protocol: x.UDP}: x.Ethernet(x.EtherTypeIPv4, ipv4(x.UDP, make([]byte, 8000))),
		{EtherType: x.EtherTypeIPv6, Protocol: x.UDP}: x.Ethernet(x.EtherTypeIPv6, ipv6(x.UDP, make([]byte, 8000)), x.EtherType8021Q),
	}
	want := map[class]traffic{}
	for c, frame := range frames {
		want[c] = traffic{Packets: 1, Bytes: uint64(len(frame))}
		x.Run(t, coll.Programs["count"], frame)
	}
	if diff := cmp.Diff(want, counts(t, coll.Maps["traffic"])); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// A short frame cannot make itself longer by what its IP header says.
func TestBytesOfALyingHeader(t *testing.T) {
	coll := x.Load(t, x.Spec(t, "count"))
	frame := x.Ethernet(x.EtherTypeIPv4, ipv4(x.UDP, make([]byte, 500)))
	frame[16], frame[17] = 0xff, 0xff // total length
	x.Run(t, coll.Programs["count"], frame)
	got := counts(t, coll.Maps["traffic"])[class{EtherType: x.EtherTypeIPv4, Protocol: x.UDP}]
	if want := (traffic{Packets: 1, Bytes: uint64(len(frame))}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestOverflow(t *testing.T) {
	coll := x.Load(t, x.Spec(t, "count"))
	size := int(coll.Maps["traffic"].MaxEntries())
	for protocol := range size + 10 {
		x.Run(t, coll.Programs["count"], x.Ethernet(x.EtherTypeIPv4, ipv4(uint8(protocol), make([]byte, 26))))
	}
	if got := len(counts(t, coll.Maps["traffic"])); got != size {
		t.Errorf("%d classes, want %d", got, size)
	}
	var perCPU []traffic
	if err := coll.Maps["overflow"].Lookup(uint32(0), &perCPU); err != nil {
		t.Fatal(err)
	}
	if got, want := sum(perCPU), (traffic{Packets: 10, Bytes: 10 * 60}); got != want {
		t.Errorf("overflow %+v, want %+v", got, want)
	}
}

func TestEveryLength(t *testing.T) {
	coll := x.Load(t, x.Spec(t, "count"))
	frame := x.Ethernet(x.EtherTypeIPv6, ipv6(x.HopByHop, x.Options(x.Fragment, 8, x.FragmentHeader(x.TCP, 0, true, x.Segment(80)))), x.EtherType8021A, x.EtherType8021Q)
	want := traffic{}
	for length := x.MinFrame; length <= len(frame); length++ {
		if verdict := x.Run(t, coll.Programs["count"], frame[:length]); verdict != x.Pass {
			t.Errorf("%d bytes: verdict %d", length, verdict)
		}
		want.Packets++
		want.Bytes += uint64(length)
	}
	var got traffic
	for _, row := range counts(t, coll.Maps["traffic"]) {
		got.Packets += row.Packets
		got.Bytes += row.Bytes
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func BenchmarkCount(b *testing.B) {
	program := x.Load(b, x.Spec(b, "count")).Programs["count"]
	for name, frame := range map[string][]byte{
		"tcp4":       x.Ethernet(x.EtherTypeIPv4, ipv4(x.TCP, x.Segment(80))),
		"tcp6":       x.Ethernet(x.EtherTypeIPv6, ipv6(x.TCP, x.Segment(80))),
		"tcp4-vlan":  x.Ethernet(x.EtherTypeIPv4, ipv4(x.TCP, x.Segment(80)), x.EtherType8021Q),
		"tcp6-hop":   x.Ethernet(x.EtherTypeIPv6, ipv6(x.HopByHop, x.Options(x.TCP, 8, x.Segment(80)))),
		"arp-padded": x.Ethernet(x.EtherTypeARP, make([]byte, 46)),
	} {
		b.Run(name, func(b *testing.B) { x.Benchmark(b, program, frame) })
	}
}

func BenchmarkLoad(b *testing.B) { x.BenchmarkLoad(b, x.Spec(b, "count")) }
