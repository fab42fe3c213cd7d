// SPDX-License-Identifier: Apache-2.0

package flowstats

import (
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	x "github.com/xdp-chain/xdp-chain/bpf/internal/xdptest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var (
	v4 = x.IPv4{Source: netip.MustParseAddr("192.0.2.1"), Destination: netip.MustParseAddr("198.51.100.2"), TTL: 64}
	v6 = x.IPv6{Source: netip.MustParseAddr("2001:db8::1"), Destination: netip.MustParseAddr("2001:db8:1::2"), HopLimit: 64}
)

func ipv4(protocol uint8, payload []byte, tags ...uint16) []byte {
	h := v4
	h.Protocol = protocol
	return x.Ethernet(x.EtherTypeIPv4, h.Packet(payload), tags...)
}

func ipv6(next uint8, payload []byte, tags ...uint16) []byte {
	h := v6
	h.NextHeader = next
	return x.Ethernet(x.EtherTypeIPv6, h.Packet(payload), tags...)
}

func fragment4(protocol uint8, offset uint16, more bool, payload []byte) []byte {
	h := v4
	h.Protocol, h.Offset, h.More = protocol, offset, more
	return x.Ethernet(x.EtherTypeIPv4, h.Packet(payload))
}

func fragment6(protocol uint8, offset uint16, more bool, payload []byte) []byte {
	return ipv6(x.Fragment, x.FragmentHeader(protocol, offset, more, payload))
}

func flow4(protocol uint8, sourcePort, destinationPort uint16) flowKey {
	return between(v4.Source, v4.Destination, protocol, sourcePort, destinationPort)
}

func flow6(protocol uint8, sourcePort, destinationPort uint16) flowKey {
	return between(v6.Source, v6.Destination, protocol, sourcePort, destinationPort)
}

// later is the flow of the later fragments of a protocol that has ports.
func later(f flowKey) flowKey {
	f.LaterFragment = 1
	return f
}

// between is a flow between the addresses of v4 or v6, in the direction of their
// packets. Ports 0, 0 are those of a protocol without.
func between(source, destination netip.Addr, protocol uint8, sourcePort, destinationPort uint16) flowKey {
	f := flowKey{Source: source.As16(), Destination: destination.As16(), Protocol: protocol, IPVersion: 6}
	if source.Is4() {
		f.IPVersion = 4
	}
	f.SourcePort = [2]byte{byte(sourcePort >> 8), byte(sourcePort)}
	f.DestinationPort = [2]byte{byte(destinationPort >> 8), byte(destinationPort)}
	return f
}

// loaded is the program with its maps.
type loaded struct{ *ebpf.Collection }

func load(t testing.TB) loaded {
	t.Helper()
	return loaded{x.Load(t, x.Spec(t, "flow-stats"))}
}

// run runs the program on the frames and fails the test unless each one passes.
func (l loaded) run(t testing.TB, frames ...[]byte) {
	t.Helper()
	for _, frame := range frames {
		if verdict := x.Run(t, l.Programs["flow_stats"], frame); verdict != x.Pass {
			t.Errorf("verdict %d on %d bytes", verdict, len(frame))
		}
	}
}

// table returns the map of flows.
func (l loaded) table(t testing.TB) map[flowKey]flowTraffic {
	t.Helper()
	rows := map[flowKey]flowTraffic{}
	var key flowKey
	var value flowTraffic
	entries := l.Maps["flows"].Iterate()
	for entries.Next(&key, &value) {
		rows[key] = value
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// counts returns the map of flows without its times.
func (l loaded) counts(t testing.TB) map[flowKey]Traffic {
	t.Helper()
	rows := map[flowKey]Traffic{}
	for key, value := range l.table(t) {
		rows[key] = Traffic{value.Packets, value.Bytes}
	}
	return rows
}

// total returns one of the totals, summed over the CPUs.
func (l loaded) total(t testing.TB, which uint32) (sum Traffic) {
	t.Helper()
	var perCPU []Traffic
	if err := l.Maps["totals"].Lookup(which, &perCPU); err != nil {
		t.Fatal(err)
	}
	for _, c := range perCPU {
		sum.Packets += c.Packets
		sum.Bytes += c.Bytes
	}
	return sum
}

func TestFlows(t *testing.T) {
	options := v4
	options.Protocol, options.Options = x.SCTP, 40
	mapped := x.IPv6{Source: netip.AddrFrom16(v4.Source.As16()), Destination: netip.AddrFrom16(v4.Destination.As16()), NextHeader: x.TCP}
	mappedFlow := flow4(x.TCP, 40000, 80)
	mappedFlow.IPVersion = 6
	tests := []struct {
		name  string
		frame []byte
		want  flowKey
	}{
		{"tcp", ipv4(x.TCP, x.Segment(80)), flow4(x.TCP, 40000, 80)},
		{"udp over IPv6", ipv6(x.UDP, x.Segment(53)), flow6(x.UDP, 40000, 53)},
		{"options", x.Ethernet(x.EtherTypeIPv4, options.Packet(x.Segment(80))), flow4(x.SCTP, 40000, 80)},
		{"extension headers", ipv6(x.HopByHop, x.Options(x.DestOptions, 8, x.Options(x.AH, 16, x.Authentication(x.TCP, 24, x.Segment(80))))), flow6(x.TCP, 40000, 80)},
		{"one tag", ipv4(x.TCP, x.Segment(80), x.EtherType8021Q), flow4(x.TCP, 40000, 80)},
		{"two tags, IPv6", ipv6(x.TCP, x.Segment(80), x.EtherType8021A, x.EtherType8021Q), flow6(x.TCP, 40000, 80)},
		{"icmp", ipv4(x.ICMP, x.Message(8)), flow4(x.ICMP, 0, 0)},
		{"icmpv6", ipv6(x.ICMPv6, x.Message(128)), flow6(x.ICMPv6, 0, 0)},
		{"gre", ipv4(x.GRE, nil), flow4(x.GRE, 0, 0)},
		{"encrypted", ipv6(x.ESP, x.Segment(80)), flow6(x.ESP, 0, 0)},
		{"no next header", ipv6(x.NoNext, nil), flow6(x.NoNext, 0, 0)},
		{"unknown protocol", ipv4(253, x.Segment(80)), flow4(253, 0, 0)},
		{"ports 0", ipv4(x.UDP, make([]byte, 8)), flow4(x.UDP, 0, 0)},
		{"IPv6 with mapped addresses is no IPv4", x.Ethernet(x.EtherTypeIPv6, mapped.Packet(x.Segment(80))), mappedFlow},
		{"first fragment", fragment4(x.UDP, 0, true, x.Segment(53)), flow4(x.UDP, 40000, 53)},
		{"first fragment, IPv6", fragment6(x.UDP, 0, true, x.Segment(53)), flow6(x.UDP, 40000, 53)},
		{"later fragment", fragment4(x.UDP, 1, true, x.Segment(53)), later(flow4(x.UDP, 0, 0))},
		{"last fragment", fragment4(x.TCP, 8191, false, nil), later(flow4(x.TCP, 0, 0))},
		{"later fragment, IPv6", fragment6(x.UDP, 1, true, x.Segment(53)), later(flow6(x.UDP, 0, 0))},
		{"later fragment without ports to miss", fragment4(x.ICMP, 1, false, make([]byte, 8)), flow4(x.ICMP, 0, 0)},
		{"later fragment of extension headers", fragment6(x.DestOptions, 1, false, x.Segment(53)), flow6(x.DestOptions, 0, 0)},
		{"shortest that has its ports", ipv4(x.TCP, x.Segment(80)[:4]), flow4(x.TCP, 40000, 80)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := load(t)
			l.run(t, tt.frame, tt.frame, tt.frame)
			want := Traffic{Packets: 3, Bytes: 3 * uint64(len(tt.frame))}
			if diff := cmp.Diff(map[flowKey]Traffic{tt.want: want}, l.counts(t)); diff != "" {
				t.Errorf("flows (-want +got):\n%s", diff)
			}
			if got := l.total(t, totalFlows); got != want {
				t.Errorf("total of flows %+v, want %+v", got, want)
			}
		})
	}
}

// Each of the five makes a flow of its own, and so does the direction.
func TestWhatTellsFlowsApart(t *testing.T) {
	reply, source, destination := v4, v4, v4
	reply.Source, reply.Destination = v4.Destination, v4.Source
	source.Source = source.Source.Next()
	destination.Destination = destination.Destination.Next()
	sourcePort := x.Segment(80)
	sourcePort[1]++
	l := load(t)
	l.run(t, ipv4(x.TCP, x.Segment(80)), ipv4(x.TCP, x.Segment(81)), ipv4(x.TCP, sourcePort), ipv4(x.UDP, x.Segment(80)), ipv6(x.TCP, x.Segment(80)))
	for _, h := range []x.IPv4{reply, source, destination} {
		h.Protocol = x.TCP
		l.run(t, x.Ethernet(x.EtherTypeIPv4, h.Packet(x.Segment(80))))
	}
	got := l.counts(t)
	if len(got) != 8 {
		t.Errorf("%d flows, want 8", len(got))
	}
	for f, c := range got {
		if c.Packets != 1 {
			t.Errorf("%+v: %d packets", f, c.Packets)
		}
	}
}

func TestWhatIsOfNoFlow(t *testing.T) {
	chain := x.Segment(80)
	for range 8 {
		chain = x.Options(x.DestOptions, 8, chain)
	}
	badVersion := ipv4(x.TCP, x.Segment(80))
	badVersion[14] = 6<<4 | 5
	badLength := ipv4(x.TCP, x.Segment(80))
	badLength[14] = 4<<4 | 4
	tests := []struct {
		name  string
		frame []byte
		want  uint32
	}{
		{"arp", x.Ethernet(x.EtherTypeARP, make([]byte, 46)), totalNotIP},
		{"802.3", x.Ethernet(46, make([]byte, 46)), totalNotIP},
		{"three tags", ipv4(x.TCP, x.Segment(80), x.EtherType8021A, x.EtherType8021Q, x.EtherType8021Q), totalNotIP},
		{"cut in a tag", x.Ethernet(x.EtherTypeIPv4, nil, x.EtherType8021A)[:16], totalNotIP},
		{"cut in IPv4", ipv4(x.TCP, nil)[:14+19], totalUnreadable},
		{"cut in options", x.Ethernet(x.EtherTypeIPv4, x.IPv4{Protocol: x.GRE, Options: 40}.Packet(nil))[:14+59], totalUnreadable},
		{"cut in IPv6", ipv6(x.TCP, nil)[:14+39], totalUnreadable},
		{"cut in an extension header", ipv6(x.HopByHop, x.Options(x.GRE, 16, nil)[:15]), totalUnreadable},
		{"cut in ports", ipv4(x.TCP, x.Segment(80)[:3]), totalUnreadable},
		{"cut in ports, IPv6", ipv6(x.UDP, x.Segment(80)[:3]), totalUnreadable},
		{"first fragment without its ports", fragment4(x.UDP, 0, true, nil), totalUnreadable},
		{"IPv6 in a frame of IPv4", badVersion, totalUnreadable},
		{"header too short", badLength, totalUnreadable},
		{"nine extension headers", ipv6(x.DestOptions, x.Options(x.DestOptions, 8, chain)), totalUnreadable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := load(t)
			l.run(t, tt.frame, tt.frame)
			if got := l.counts(t); len(got) != 0 {
				t.Errorf("flows %v", got)
			}
			for _, which := range []uint32{totalFlows, totalNotIP, totalUnreadable} {
				want := Traffic{}
				if which == tt.want {
					want = Traffic{Packets: 2, Bytes: 2 * uint64(len(tt.frame))}
				}
				if got := l.total(t, which); got != want {
					t.Errorf("total %d: %+v, want %+v", which, got, want)
				}
			}
		})
	}
}

// Every frame is in one of the totals, wherever it ends.
func TestEveryLength(t *testing.T) {
	l := load(t)
	var want Traffic
	for _, frame := range [][]byte{
		ipv6(x.HopByHop, x.Options(x.Fragment, 8, x.FragmentHeader(x.TCP, 0, true, x.Segment(80))), x.EtherType8021A, x.EtherType8021Q),
		x.Ethernet(x.EtherTypeIPv4, x.IPv4{Source: v4.Source, Protocol: x.UDP, Options: 12}.Packet(x.Segment(80)), x.EtherType8021Q),
	} {
		for length := x.MinFrame; length <= len(frame); length++ {
			l.run(t, frame[:length])
			want.Packets++
			want.Bytes += uint64(length)
		}
	}
	var got Traffic
	for _, which := range []uint32{totalFlows, totalNotIP, totalUnreadable} {
		got.Packets += l.total(t, which).Packets
		got.Bytes += l.total(t, which).Bytes
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A frame of several buffers shows the program its first one alone.
func TestBytesOfFramesOfSeveralBuffers(t *testing.T) {
	testenv.NeedKernel(t, testenv.HaveFrags())
	l := load(t)
	frames := map[flowKey][]byte{
		flow4(x.UDP, 40000, 53): ipv4(x.UDP, append(x.Segment(53), make([]byte, 8000)...)),
		flow6(x.UDP, 40000, 53): ipv6(x.UDP, append(x.Segment(53), make([]byte, 8000)...), x.EtherType8021Q),
	}
	want := map[flowKey]Traffic{}
	for f, frame := range frames {
		want[f] = Traffic{Packets: 1, Bytes: uint64(len(frame))}
		l.run(t, frame)
	}
	if diff := cmp.Diff(want, l.counts(t)); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

func TestTimes(t *testing.T) {
	l := load(t)
	frame := ipv4(x.TCP, x.Segment(80))
	read := func() flowTraffic { return l.table(t)[flow4(x.TCP, 40000, 80)] }

	before := sinceBoot(t)
	l.run(t, frame)
	first := read()
	if first.FirstSeen < before || first.FirstSeen > sinceBoot(t) || first.LastSeen != first.FirstSeen {
		t.Errorf("one packet: first %d, last %d, sent from %d on", first.FirstSeen, first.LastSeen, before)
	}
	time.Sleep(time.Millisecond)
	before = sinceBoot(t)
	l.run(t, frame)
	second := read()
	if second.FirstSeen != first.FirstSeen || second.LastSeen < before || second.LastSeen > sinceBoot(t) {
		t.Errorf("two packets: first %d, last %d, the second sent from %d on; first was %d", second.FirstSeen, second.LastSeen, before, first.FirstSeen)
	}
}

// sinceBoot reads the clock that the program reads.
func sinceBoot(t *testing.T) uint64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		t.Fatal(err)
	}
	return uint64(now.Nano())
}

func BenchmarkFlowStats(b *testing.B) {
	program := x.Load(b, x.Spec(b, "flow-stats")).Programs["flow_stats"]
	for name, frame := range map[string][]byte{
		"tcp4":      ipv4(x.TCP, x.Segment(80)),
		"tcp6":      ipv6(x.TCP, x.Segment(80)),
		"tcp4-vlan": ipv4(x.TCP, x.Segment(80), x.EtherType8021Q),
		"tcp6-hop":  ipv6(x.HopByHop, x.Options(x.TCP, 8, x.Segment(80))),
		"arp":       x.Ethernet(x.EtherTypeARP, make([]byte, 46)),
	} {
		b.Run(name, func(b *testing.B) { x.Benchmark(b, program, frame) })
	}
}

func BenchmarkLoad(b *testing.B) { x.BenchmarkLoad(b, x.Spec(b, "flow-stats")) }
