// SPDX-License-Identifier: Apache-2.0

package icmpecho_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	x "github.com/xdp-chain/xdp-chain/bpf/internal/xdptest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const tx = 3 // XDP_TX of linux/bpf.h

var (
	asker4, pod4 = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	asker6, pod6 = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
)

// sum is the Internet checksum (RFC 1071) of the parts one after another, each but the
// last of an even length: 0 over what holds a right one.
func sum(parts ...[]byte) uint16 {
	var sum uint32
	for _, b := range parts {
		for ; len(b) > 1; b = b[2:] {
			sum += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// pseudo is what ICMPv6's checksum covers besides the message (RFC 8200, 8.1).
func pseudo(packet []byte) []byte {
	return slices.Concat(packet[8:40], []byte{0, 0}, packet[4:6], []byte{0, 0, 0, x.ICMPv6})
}

// echo is a message with a right checksum, in a packet for whose pseudo header that is
// (ICMP: none).
func echo(kind, code uint8, data, pseudo []byte) []byte {
	m := slices.Concat([]byte{kind, code, 0, 0, 0x12, 0x34, 0, 7}, data)
	binary.BigEndian.PutUint16(m[2:], sum(pseudo, m))
	return m
}

func packet4(h x.IPv4, message []byte) []byte {
	p := h.Packet(message)
	header := p[:20+h.Options]
	binary.BigEndian.PutUint16(p[10:], sum(header))
	return p
}

func packet6(h x.IPv6, kind, code uint8, data []byte) []byte {
	p := h.Packet(make([]byte, 8+len(data)))
	copy(p[40:], echo(kind, code, data, pseudo(p)))
	return p
}

func request4(data []byte) []byte {
	return x.Ethernet(x.EtherTypeIPv4, packet4(x.IPv4{Source: asker4, Destination: pod4, Protocol: x.ICMP, TTL: 3}, echo(8, 0, data, nil)))
}

func request6(data []byte) []byte {
	return x.Ethernet(x.EtherTypeIPv6, packet6(x.IPv6{Source: asker6, Destination: pod6, NextHeader: x.ICMPv6, HopLimit: 3}, 128, 0, data))
}

func answer4(data []byte) []byte {
	return swapped(x.Ethernet(x.EtherTypeIPv4, packet4(x.IPv4{Source: pod4, Destination: asker4, Protocol: x.ICMP, TTL: 64}, echo(0, 0, data, nil))))
}

func answer6(data []byte) []byte {
	return swapped(x.Ethernet(x.EtherTypeIPv6, packet6(x.IPv6{Source: pod6, Destination: asker6, NextHeader: x.ICMPv6, HopLimit: 64}, 129, 0, data)))
}

// swapped is the frame on its way back.
func swapped(frame []byte) []byte { return slices.Concat(frame[6:12], frame[:6], frame[12:]) }

func load(t testing.TB, globals map[string]any) *ebpf.Program {
	t.Helper()
	spec := x.Spec(t, "icmp-echo")
	for name, value := range globals {
		if err := spec.Variables[name].Set(value); err != nil {
			t.Fatal(err)
		}
	}
	return x.Load(t, spec).Programs["icmp_echo"]
}

// run returns the verdict and what became of the frame.
func run(t testing.TB, p *ebpf.Program, frame []byte) (uint32, []byte) {
	t.Helper()
	o := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256)}
	verdict, err := p.Run(&o)
	if err != nil {
		t.Fatalf("running on %d bytes: %v", len(frame), err)
	}
	return verdict, o.DataOut
}

// An answer is what the kernel of the pod would send, byte for byte: its checksums are
// computed here from the whole of it, and in the program from what changed.
func TestAnswers(t *testing.T) {
	p := load(t, nil)
	random := rand.New(rand.NewPCG(1, 2))
	sizes := []int{1400, 1471, 1472}
	for size := range 600 {
		sizes = append(sizes, size)
	}
	for _, size := range sizes {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		for name, f := range map[string]struct{ request, answer []byte }{
			"IPv4": {request4(data), answer4(data)},
			"IPv6": {request6(data), answer6(data)},
		} {
			verdict, got := run(t, p, f.request)
			if verdict != tx || !bytes.Equal(got, f.answer) {
				t.Fatalf("%s, %d bytes of data: verdict %d\n%s", name, size, verdict, cmp.Diff(f.answer, got))
			}
		}
	}
}

// Every checksum that a request can have, 0 and 0xffff among them, becomes one that is
// right. (Two bytes of data bring it about. What is compared is the sum over the message:
// 0 and 0xffff are the same in it.)
func TestEveryChecksum(t *testing.T) {
	p := load(t, nil)
	step := 1
	if testing.Short() {
		step = 61
	}
	for word := 0; word <= 0xffff; word += step {
		data := binary.BigEndian.AppendUint16(nil, uint16(word))
		if verdict, got := run(t, p, request4(data)); verdict != tx || sum(got[14:34]) != 0 || sum(got[34:]) != 0 {
			t.Fatalf("IPv4, data %#04x: verdict %d, answer %x", word, verdict, got)
		}
		if verdict, got := run(t, p, request6(data)); verdict != tx || sum(pseudo(got[14:]), got[54:]) != 0 {
			t.Fatalf("IPv6, data %#04x: verdict %d, answer %x", word, verdict, got)
		}
	}
}

// A frame of several buffers is answered as it is: only its headers are touched.
func TestFramesOfSeveralBuffers(t *testing.T) {
	testenv.NeedKernel(t, testenv.HaveFrags())
	p := load(t, nil)
	data := bytes.Repeat([]byte("jumbo"), 1700)
	if verdict, got := run(t, p, request4(data)); verdict != tx || !bytes.Equal(got, answer4(data)) {
		t.Errorf("IPv4: verdict %d", verdict)
	}
	if verdict, got := run(t, p, request6(data)); verdict != tx || !bytes.Equal(got, answer6(data)) {
		t.Errorf("IPv6: verdict %d", verdict)
	}
}

// What was wrong in a request is as wrong in the answer: nothing makes a broken packet
// into one that is taken for whole.
func TestBrokenChecksumsStayBroken(t *testing.T) {
	p := load(t, nil)
	for name, at := range map[string]int{"ICMP": 14 + 20 + 8, "IPv4": 14 + 4} {
		frame := request4(make([]byte, 8))
		frame[at]++
		if verdict, got := run(t, p, frame); verdict == tx && sum(got[14:34]) == 0 && sum(got[34:]) == 0 {
			t.Errorf("%s: the answer's checksums are right", name)
		}
	}
	frame := request6(make([]byte, 8))
	frame[14+40+8]++
	if verdict, got := run(t, p, frame); verdict == tx && sum(pseudo(got[14:]), got[54:]) == 0 {
		t.Error("IPv6: the answer's checksum is right")
	}
}

// from4 is a request between other addresses.
func from4(source, destination string) []byte {
	return x.Ethernet(x.EtherTypeIPv4, packet4(x.IPv4{
		Source: netip.MustParseAddr(source), Destination: netip.MustParseAddr(destination), Protocol: x.ICMP, TTL: 64,
	}, echo(8, 0, nil, nil)))
}

func from6(source, destination string) []byte {
	return x.Ethernet(x.EtherTypeIPv6, packet6(x.IPv6{
		Source: netip.MustParseAddr(source), Destination: netip.MustParseAddr(destination), NextHeader: x.ICMPv6, HopLimit: 64,
	}, 128, 0, nil))
}

// with is a frame with other bytes from one place on.
func with(frame []byte, at int, value ...byte) []byte {
	frame = slices.Clone(frame)
	copy(frame[at:], value)
	return frame
}

// What is not answered goes on as it came.
func TestNotAnswered(t *testing.T) {
	plain4, plain6 := request4(nil), request6(nil)
	in4 := func(h x.IPv4, kind, code uint8) []byte {
		h.Source, h.Destination, h.TTL = asker4, pod4, 64
		return x.Ethernet(x.EtherTypeIPv4, packet4(h, echo(kind, code, nil, nil)))
	}
	in6 := func(kind, code uint8) []byte {
		return x.Ethernet(x.EtherTypeIPv6, packet6(x.IPv6{Source: asker6, Destination: pod6, NextHeader: x.ICMPv6, HopLimit: 64}, kind, code, nil))
	}
	through6 := func(next uint8, payload []byte) []byte {
		return x.Ethernet(x.EtherTypeIPv6, x.IPv6{Source: asker6, Destination: pod6, NextHeader: next, HopLimit: 64}.Packet(payload))
	}
	frames := map[string][]byte{
		"echo reply":                         in4(x.IPv4{Protocol: x.ICMP}, 0, 0),
		"destination unreachable":            in4(x.IPv4{Protocol: x.ICMP}, 3, 0),
		"echo request with a code":           in4(x.IPv4{Protocol: x.ICMP}, 8, 1),
		"another protocol":                   in4(x.IPv4{Protocol: x.UDP}, 8, 0),
		"ICMPv6 over IPv4":                   in4(x.IPv4{Protocol: x.ICMPv6}, 128, 0),
		"options":                            in4(x.IPv4{Protocol: x.ICMP, Options: 4}, 8, 0),
		"first fragment":                     in4(x.IPv4{Protocol: x.ICMP, More: true}, 8, 0),
		"later fragment":                     in4(x.IPv4{Protocol: x.ICMP, Offset: 2}, 8, 0),
		"another version":                    with(plain4, 14, 0x55),
		"header of 16 bytes":                 with(plain4, 14, 0x44),
		"longer than its frame":              with(plain4, 16, 0, 29),
		"shorter than an echo":               with(plain4, 16, 0, 27),
		"VLAN":                               x.Ethernet(x.EtherTypeIPv4, plain4[14:], x.EtherType8021Q),
		"ARP":                                x.Ethernet(x.EtherTypeARP, plain4[14:]),
		"to the broadcast station":           with(plain4, 0, 255, 255, 255, 255, 255, 255),
		"to a group of stations":             with(plain4, 0, 1, 0, 0x5e, 0, 0, 1),
		"from a group of stations":           with(plain4, 6, 1, 0, 0x5e, 0, 0, 1),
		"to no station":                      with(plain4, 0, 0, 0, 0, 0, 0, 0),
		"from no station":                    with(plain4, 6, 0, 0, 0, 0, 0, 0),
		"to multicast":                       from4("192.0.2.1", "224.0.0.1"),
		"to broadcast":                       from4("192.0.2.1", "255.255.255.255"),
		"to nobody":                          from4("192.0.2.1", "0.0.0.0"),
		"to loopback":                        from4("192.0.2.1", "127.0.0.1"),
		"from multicast":                     from4("239.1.2.3", "192.0.2.2"),
		"from broadcast":                     from4("255.255.255.255", "192.0.2.2"),
		"from nobody":                        from4("0.0.0.0", "192.0.2.2"),
		"from loopback":                      from4("127.0.0.1", "192.0.2.2"),
		"IPv6 echo reply":                    in6(129, 0),
		"IPv6 neighbour solicitation":        in6(135, 0),
		"IPv6 echo request with a code":      in6(128, 1),
		"IPv6 another version":               with(plain6, 14, 0x50),
		"IPv6 longer than its frame":         with(plain6, 18, 0, 9),
		"IPv6 shorter than an echo":          with(plain6, 18, 0, 7),
		"IPv6 without a length":              with(plain6, 18, 0, 0),
		"IPv6 VLAN":                          x.Ethernet(x.EtherTypeIPv6, plain6[14:], x.EtherType8021A),
		"IPv6 fragment":                      through6(x.Fragment, x.FragmentHeader(x.ICMPv6, 0, true, plain6[54:])),
		"IPv6 hop-by-hop options":            through6(x.HopByHop, x.Options(x.ICMPv6, 8, plain6[54:])),
		"ICMP over IPv6":                     through6(x.ICMP, echo(8, 0, nil, nil)),
		"IPv6 to multicast":                  from6("2001:db8::1", "ff02::1"),
		"IPv6 to a solicited node":           from6("2001:db8::1", "ff02::1:ff00:2"),
		"IPv6 to loopback":                   from6("2001:db8::1", "::1"),
		"IPv6 to nobody":                     from6("2001:db8::1", "::"),
		"IPv6 to an IPv4-mapped address":     from6("2001:db8::1", "::ffff:192.0.2.2"),
		"IPv6 from multicast":                from6("ff02::1", "2001:db8::2"),
		"IPv6 from loopback":                 from6("::1", "2001:db8::2"),
		"IPv6 from nobody":                   from6("::", "2001:db8::2"),
		"IPv6 to the stations of all nodes":  with(plain6, 0, 0x33, 0x33, 0, 0, 0, 1),
		"nothing":                            make([]byte, x.MinFrame),
		"an EtherType that is not IP's name": x.Ethernet(0x0008, plain4[14:]),
	}
	p := load(t, nil)
	for name, frame := range frames {
		t.Run(name, func(t *testing.T) {
			verdict, got := run(t, p, frame)
			if verdict != x.Pass || !bytes.Equal(got, frame) {
				t.Errorf("verdict %d\n%s", verdict, cmp.Diff(frame, got))
			}
		})
	}
}

// A request that is cut short is not answered, whatever its length.
func TestEveryLength(t *testing.T) {
	p := load(t, nil)
	for name, frame := range map[string][]byte{"IPv4": request4(make([]byte, 40)), "IPv6": request6(make([]byte, 40))} {
		for length := x.MinFrame; length < len(frame); length++ {
			if verdict, got := run(t, p, frame[:length]); verdict != x.Pass || !bytes.Equal(got, frame[:length]) {
				t.Errorf("%s, %d of %d bytes: verdict %d", name, length, len(frame), verdict)
			}
		}
		padded := append(slices.Clone(frame), 0, 0, 0, 0)
		if verdict, _ := run(t, p, padded); verdict != tx {
			t.Errorf("%s, padded: verdict %d", name, verdict)
		}
	}
}

func TestGlobals(t *testing.T) {
	mac := [6]byte(net.HardwareAddr{2, 0, 0, 0, 0, 1}) // where xdptest.Ethernet sends to
	other := mac
	other[5]++
	for _, tt := range []struct {
		globals    map[string]any
		ipv4, ipv6 uint32
	}{
		{nil, tx, tx},
		{map[string]any{"mac": mac}, tx, tx},
		{map[string]any{"mac": other}, x.Pass, x.Pass},
		{map[string]any{"address": pod4.As4()}, tx, tx},
		{map[string]any{"address": asker4.As4()}, x.Pass, tx},
		{map[string]any{"address6": pod6.As16()}, tx, tx},
		{map[string]any{"address6": asker6.As16()}, tx, x.Pass},
	} {
		t.Run(fmt.Sprint(tt.globals), func(t *testing.T) {
			p := load(t, tt.globals)
			if got, _ := run(t, p, request4(nil)); got != tt.ipv4 {
				t.Errorf("IPv4: verdict %d, want %d", got, tt.ipv4)
			}
			if got, _ := run(t, p, request6(nil)); got != tt.ipv6 {
				t.Errorf("IPv6: verdict %d, want %d", got, tt.ipv6)
			}
		})
	}
}

// No two that answer can keep a packet going between them.
func TestAnswersAreNotAnswered(t *testing.T) {
	p := load(t, nil)
	for name, frame := range map[string][]byte{"IPv4": request4(nil), "IPv6": request6(nil)} {
		_, answer := run(t, p, frame)
		if verdict, _ := run(t, p, answer); verdict != x.Pass {
			t.Errorf("%s: verdict %d on an answer", name, verdict)
		}
	}
}

func BenchmarkEcho(b *testing.B) {
	p := load(b, nil)
	for name, frame := range map[string][]byte{"answer": request4(make([]byte, 56)), "pass": answer4(make([]byte, 56))} {
		b.Run(name, func(b *testing.B) { x.Benchmark(b, p, frame) })
	}
}

func BenchmarkLoad(b *testing.B) { x.BenchmarkLoad(b, x.Spec(b, "icmp-echo")) }
