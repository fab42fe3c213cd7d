// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"encoding/binary"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
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

// flood sends frames to a pod, so that some are always under way, and counts what arrives, exactly: the
// kernel does, so that no receiver can be too slow.
type flood struct {
	kinds []*kind
	stop  chan struct{}
	ended chan error
}

// kind is one of the frames that the flood is made of.
type kind struct {
	name    string
	dropped bool // by a member that is in the chain all the time
	frame   []byte
	sent    int
	arrived int
	counter int // packet socket in the pod that is given these frames alone
}

// startFlood sends frames that all members pass on, and for each of the letters such
// as the member of that letter drops.
func startFlood(t *testing.T, p *plugintest.Pod, droppers ...string) *flood {
	t.Helper()
	f := &flood{stop: make(chan struct{}), ended: make(chan error, 1)}
	for _, letter := range droppers {
		f.add(t, p, "that "+letter+" drops", verdicts{letter: drop})
	}
	f.add(t, p, "that nobody drops", nil) // the last: where it is, all are
	host, err := net.InterfaceByName(p.Host)
	if err != nil {
		t.Fatal(err)
	}
	go func() { f.ended <- f.send(host.Index) }()
	return f
}

func (f *flood) add(t *testing.T, p *plugintest.Pod, name string, v verdicts) {
	t.Helper()
	m := newFrame(protocolMarked, v)
	k := &kind{name: name, dropped: v != nil, frame: m.bytes(t)}
	k.counter = tap(t, p, source(k.frame))
	f.kinds = append(f.kinds, k)
}

// count returns how many frames were given to the socket since it was last asked,
// those included for which it had no room.
func count(fd int) (int, error) {
	stats, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, err
	}
	return int(stats.Packets), nil
}

// send sends bursts until it is stopped. The veth has room for some 250 frames, and the
// pod's side may be slow, so a burst is sent when the last one is there.
func (f *flood) send(ifindex int) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const (
		burst = 16
		pause = 20 * time.Millisecond // leaves an emulated machine time for the changes
	)
	for {
		for _, k := range f.kinds {
			for range burst {
				if err := unix.Sendto(fd, k.frame, 0, &unix.SockaddrLinklayer{Ifindex: ifindex}); err != nil {
					return err
				}
				k.sent++
			}
		}
		if err := f.await(); err != nil {
			return err
		}
		select {
		case <-f.stop:
			return nil
		case <-time.After(pause):
		}
	}
}

// await waits until what nobody drops is there, or, if it is lost, for a while.
func (f *flood) await() error {
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		missing := false
		for _, k := range f.kinds {
			arrived, err := count(k.counter)
			if err != nil {
				return err
			}
			k.arrived += arrived
			missing = missing || !k.dropped && k.arrived < k.sent
		}
		if !missing {
			return nil
		}
	}
	return nil
}

// end stops the flood and fails the test if one frame was lost or came past the
// member that drops it.
func (f *flood) end(t *testing.T, p *plugintest.Pod) {
	t.Helper()
	close(f.stop)
	if err := <-f.ended; err != nil {
		t.Fatalf("flooding the pod: %v", err)
	}
	for _, k := range f.kinds {
		unix.Close(k.counter) // it would keep the pod's namespace alive
		want := k.sent
		if k.dropped {
			want = 0
		}
		t.Logf("frames %s: %d sent, %d arrived", k.name, k.sent, k.arrived)
		if k.arrived != want {
			t.Errorf("frames %s: %d arrived, want %d; the veth itself dropped %d", k.name, k.arrived, want, vethDrops(t, p))
		}
	}
}

// vethDrops is how many frames the host's end had no room for.
func vethDrops(t *testing.T, p *plugintest.Pod) (drops uint64) {
	t.Helper()
	testenv.InNetNS(t, "", func() error {
		link, err := netlink.LinkByName(p.Host)
		if err == nil {
			drops = link.Attrs().Statistics.TxDropped
		}
		return err
	})
	return drops
}
