// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Under a flood of packets, not one gets past the chain while it is swapped.
func TestNoPacketPassesDuringSwaps(t *testing.T) {
	swaps := 500
	if testing.Short() {
		swaps = 25
	}
	testenv.NoLeaks(t)
	for _, by := range bothKinds {
		for _, mode := range []chain.Mode{chain.ModeNative, chain.ModeGeneric} {
			t.Run(by.String()+"/"+mode.String(), func(t *testing.T) { swapUnderFlood(t, by, mode, swaps) })
		}
	}
}

func swapUnderFlood(t *testing.T, by chain.Attach, mode chain.Mode, swaps int) {
	pod, host := pair(t, 1500)
	drops := newCounter(t)
	programs := [2]*ebpf.Program{countAndDrop(t, "swap_a", drops), countAndDrop(t, "swap_b", drops)}
	arrived := listen(t, pod)

	// The counting of what passes works: without a chain everything does.
	before := flood(t, host)
	waitFor(t, "packets to arrive with no program attached", func() bool { return arrived() > 1000 })
	before.stop(t)
	time.Sleep(50 * time.Millisecond) // for the last of them
	l, _ := mustHold(t, pod, by, AttachOptions{Program: programs[0], Mode: mode})
	passed := arrived()

	during := flood(t, host)
	waitFor(t, "packets to be dropped", func() bool { return read(t, drops) > 1000 })
	for n := range swaps {
		old, next := programs[n%2], programs[(n+1)%2]
		var err error
		if l != nil {
			err = pod.UpdateLink(l, next, false)
		} else {
			err = pod.ReplaceNetlink(next, old, mode, false)
		}
		if err != nil {
			t.Fatalf("swap %d: %v", n, err)
		}
	}
	delivered := during.stop(t)
	waitFor(t, "the last packets", func() bool { return read(t, drops)+arrived()-passed >= delivered })
	if now := arrived(); now != passed {
		t.Errorf("%d of %d packets passed the chain during %d swaps", now-passed, delivered, swaps)
	}
	if dropped := read(t, drops); dropped != delivered {
		t.Errorf("%d packets delivered, %d dropped by the chain", delivered, dropped)
	}
	t.Logf("%d packets delivered, %d dropped by the chain, %d swaps", delivered, read(t, drops), swaps)
}

// floodEtherType is one for experiments (IEEE 802), which nothing else here sends.
const floodEtherType = 0x88b5

// newCounter makes a one-element array of u64.
func newCounter(t *testing.T) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "drops", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func read(t *testing.T, m *ebpf.Map) uint64 {
	t.Helper()
	var n uint64
	if err := m.Lookup(uint32(0), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// countAndDrop loads a program that counts in m what it drops.
func countAndDrop(t *testing.T, name string, m *ebpf.Map) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{
			asm.LoadMapValue(asm.R1, m.FD(), 0),
			asm.Mov.Imm(asm.R2, 1),
			asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
			asm.Mov.Imm(asm.R0, xdpDrop),
			asm.Return(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// htons is for the protocol of a packet socket.
func htons(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// listen counts the flood's packets that get past the XDP hook of i: those that a
// packet socket would receive, whether it has room for them or not.
func listen(t *testing.T, i *Interface) (arrived func() uint64) {
	t.Helper()
	var fd int
	if err := i.NetNS.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(floodEtherType), Ifindex: i.Index})
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	var total uint64
	return func() uint64 {
		// The statistics start over at every reading (packet(7)).
		stats, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err != nil {
			t.Fatal(err)
		}
		total += uint64(stats.Packets)
		return total
	}
}

type sender struct {
	from    *Interface
	dropped uint64 // by from, before the flood
	end     atomic.Bool
	done    chan error
	sent    uint64
}

// flood sends packets out of i as fast as one thread can.
func flood(t *testing.T, i *Interface) *sender {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 60)
	copy(frame, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01")
	binary.BigEndian.PutUint16(frame[12:], floodEtherType)
	s := &sender{from: i, dropped: txDropped(t, i), done: make(chan error)}
	go func() {
		defer unix.Close(fd)
		for !s.end.Load() {
			// ENOBUFS is a full queue at the peer, which counts as dropped; older
			// kernels do not tell but count.
			if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: i.Index}); err != nil && err != unix.ENOBUFS {
				s.done <- err
				return
			}
			s.sent++
		}
		s.done <- nil
	}()
	return s
}

// stop ends the flood and returns how many packets were delivered to the peer.
func (s *sender) stop(t *testing.T) uint64 {
	t.Helper()
	s.end.Store(true)
	if err := <-s.done; err != nil {
		t.Fatalf("sending the flood: %v", err)
	}
	return s.sent - (txDropped(t, s.from) - s.dropped)
}

// txDropped returns how many packets a veth could not hand to its peer.
func txDropped(t *testing.T, i *Interface) uint64 {
	t.Helper()
	l, err := netlink.LinkByIndex(i.Index)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Statistics.TxDropped
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("waited in vain for %s", what)
			return
		}
	}
}
