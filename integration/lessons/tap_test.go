// SPDX-License-Identifier: Apache-2.0

package lessons

import (
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
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
func (tp *tap) next(t *testing.T, patience int64) []byte {
	t.Helper()
	timeout := unix.NsecToTimeval(patience * 1e6)
	if err := unix.SetsockoptTimeval(tp.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
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
