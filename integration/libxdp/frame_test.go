// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"encoding/binary"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// marked is struct marked of testdata/mark.c.
type marked struct {
	Destination, Source [6]byte
	Protocol            uint16
	Count               uint8
	Verdicts            [maxMembers]uint8
	Signatures          [maxMembers]uint8
}

const (
	maxMembers = 16

	protocolMarked = 0x88b5 // ETH_P_MARKED
	protocolOther  = 0x88b6 // local experimental EtherType 2: no member of ours looks at it
)

// XDP's verdicts, enum xdp_action of linux/bpf.h.
const (
	aborted = 0
	drop    = 1
	pass    = 2
)

// verdicts tells members, by the letter they sign with, what to return; those who
// are not named return XDP_PASS.
type verdicts map[string]uint8

var frameCount atomic.Uint64

// newFrame makes a frame that differs from all others.
func newFrame(protocol uint16, v verdicts) marked {
	m := marked{Destination: [6]byte{2, 0, 0, 0, 0, 2}, Protocol: protocol}
	binary.BigEndian.PutUint32(m.Source[2:], uint32(frameCount.Add(1)))
	for i := range m.Verdicts {
		m.Verdicts[i] = pass
	}
	for letter, verdict := range v {
		m.Verdicts[letter[0]-'a'] = verdict
	}
	return m
}

func (m *marked) bytes(t *testing.T) []byte {
	t.Helper()
	frame, err := binary.Append(nil, binary.BigEndian, m)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// wantTrace sends a frame to the pod and fails the test unless the members of these
// letters, and no other, sign it in this order. "-" is a frame that does not arrive.
func wantTrace(t *testing.T, p *plugintest.Pod, v verdicts, want string) {
	t.Helper()
	got := "-"
	sent := newFrame(protocolMarked, v)
	if arrived := arrive(t, p, sent.bytes(t)); arrived != nil {
		var m marked
		if _, err := binary.Decode(arrived, binary.BigEndian, &m); err != nil {
			t.Fatal(err)
		}
		got = string(m.Signatures[:m.Count])
	}
	if got != want {
		t.Errorf("members that signed, with verdicts %v: %q, want %q", v, got, want)
	}
}

// arrive sends a frame to the pod and returns what arrives of it: nil if nothing does.
// That shows when a frame sent after it, which no member drops, is there.
func arrive(t *testing.T, p *plugintest.Pod, frame []byte) []byte {
	t.Helper()
	after := newFrame(protocolOther, nil)
	last := after.bytes(t)
	fd := tap(t, p, source(frame), source(last))
	defer unix.Close(fd)
	testenv.Send(t, "", p.Host, frame, last)
	got := receive(t, fd)
	if source(got) == source(last) {
		return nil
	}
	return got
}

// sourceOffset is where the part of a frame's source address is that newFrame counts
// up in.
const sourceOffset = 8

// source is that part.
func source(frame []byte) uint32 { return binary.BigEndian.Uint32(frame[sourceOffset:]) }

// tap opens a packet socket on the pod's end: it is given what the chain lets
// through of the frames with these sources.
func tap(t *testing.T, p *plugintest.Pod, sources ...uint32) int {
	t.Helper()
	var fd int
	testenv.InNetNS(t, p.NetNS, func() error {
		iface, err := net.InterfaceByName(p.Ifname)
		if err != nil {
			return err
		}
		// Protocol 0 until it is bound: nothing before it filters.
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		const all = uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8) // big endian
		filter := fromSources(sources)
		return errors.Join(
			unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: iface.Index}))
	})
	return fd
}

// fromSources is a socket filter that takes whole the frames with these sources.
func fromSources(sources []uint32) []unix.SockFilter {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: sourceOffset}}
	for i, s := range sources {
		toEnd := uint8(len(sources) - i)
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: s, Jt: toEnd})
	}
	return append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 16})
}

// receive returns the next frame of a tap.
func receive(t *testing.T, fd int) []byte {
	t.Helper()
	buffer := make([]byte, 2048)
	for {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			t.Fatalf("no frame arrives in the pod, not even one that no member drops: %v", err)
		default:
			return buffer[:n]
		}
	}
}
