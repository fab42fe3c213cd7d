// SPDX-License-Identifier: Apache-2.0

package lessons

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
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

// tap is given the frames that an interface receives and its chain lets through.
type tap struct{ fd int }

// listen opens a tap in a network namespace; "" is the host's.
func listen(t *testing.T, ns, ifname string) *tap {
	t.Helper()
	var tp tap
	testenv.InNetNS(t, ns, func() error {
		iface, err := net.InterfaceByName(ifname)
		if err != nil {
			return err
		}
		// Protocol 0 until it is bound.
		if tp.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		const all = uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8) // big endian
		return errors.Join(
			unix.SetsockoptInt(tp.fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
			unix.Bind(tp.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: iface.Index}))
	})
	t.Cleanup(func() { unix.Close(tp.fd) })
	return &tp
}

func listenInside(t *testing.T, p *plugintest.Pod) *tap {
	t.Helper()
	return listen(t, p.NetNS, p.Ifname)
}

// next returns the next frame of ours, nil where none comes for so many milliseconds.
func (tp *tap) next(t *testing.T, timeout int64) []byte {
	t.Helper()
	timeval := unix.NsecToTimeval(timeout * 1e6)
	if err := unix.SetsockoptTimeval(tp.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeval); err != nil {
		t.Fatal(err)
	}
	frame, aside := make([]byte, 1<<16), make([]byte, 256)
	for {
		n, asideLength, _, from, err := unix.Recvmsg(tp.fd, frame, aside, 0)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		outgoing := from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING
		if !outgoing && isOurs(frame[:n]) {
			return withTag(t, frame[:n], aside[:asideLength])
		}
	}
}

// withTag puts the VLAN tag back that the kernel took off the frame, as a struct
// tpacket_auxdata of linux/if_packet.h tells.
func withTag(t *testing.T, frame, aside []byte) []byte {
	t.Helper()
	messages, err := unix.ParseSocketControlMessage(aside)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA {
			continue
		}
		if binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_VLAN_VALID == 0 {
			continue
		}
		tci, tpid := binary.NativeEndian.Uint16(m.Data[16:]), binary.NativeEndian.Uint16(m.Data[18:])
		tag := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, tpid), tci)
		return slices.Concat(frame[:12], tag, frame[12:])
	}
	return frame
}

// until returns the frames of ours that arrive, up to the one that is sent last.
func (tp *tap) until(t *testing.T, last []byte) (frames [][]byte) {
	t.Helper()
	for {
		frame := tp.next(t, 5000)
		if frame == nil {
			t.Fatalf("of the frames %d arrived, and not the last", len(frames))
		}
		if frames = append(frames, frame); sameEnd(frame, last) {
			return frames
		}
	}
}

// nothing fails the test where a frame arrives.
func (tp *tap) nothing(t *testing.T) {
	t.Helper()
	if frame := tp.next(t, 50); frame != nil {
		t.Errorf("a frame arrived: %x", frame)
	}
}

// send sends frames to a pod.
func send(t *testing.T, p *plugintest.Pod, frames ...[]byte) {
	t.Helper()
	testenv.Send(t, "", p.Host, frames...)
}

// wantThrough sends frames to a pod, the last of which its chain lets through, and
// compares what arrives.
func wantThrough(t *testing.T, p *plugintest.Pod, want [][]byte, frames ...[]byte) {
	t.Helper()
	tp := listenInside(t, p)
	send(t, p, frames...)
	if diff := cmp.Diff(want, tp.until(t, frames[len(frames)-1])); diff != "" {
		t.Errorf("frames that arrive (-want +got):\n%s", diff)
	}
}
