// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/integration/bench/report"
	"github.com/xdp-chain/xdp-chain/integration/bench/workload"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

const (
	// floodBatch is a quarter of the ring that takes packets in on the other end
	// of a veth pair (VETH_RING_SIZE, drivers/net/veth.c).
	floodBatch = 64
	// floodBurst is how many packets one system call sends, some milliseconds'.
	floodBurst = floodBatch * 500
	// ethertype is the first of IEEE 802's local experimental ones: nobody sends
	// it but the flood.
	ethertype = 0x88b5
)

// newFrame is the least that Ethernet takes, to nobody.
func newFrame() []byte {
	frame := make([]byte, 64)
	frame[12], frame[13] = ethertype>>8, ethertype&0xff
	return frame
}

// flood sends packets out of an interface as fast as one processor can.
type flood struct {
	program *ebpf.Program
	ended   atomic.Bool
	done    chan error
	// sent is at least how many packets were sent, valid once stop has returned. A
	// run that a signal ends early is begun anew, and what it had sent is not in it.
	sent uint64
}

// startFlood floods the other end of the veth pair whose end on the host has the
// given name.
func startFlood(host string) (*flood, error) {
	device, err := net.InterfaceByName(host)
	if err != nil {
		return nil, err
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "flood", Type: ebpf.XDP,
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R1, int32(device.Index)),
			asm.Mov.Imm(asm.R2, 0),
			asm.FnRedirect.Call(),
			asm.Return(),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("loading the flood: %w", err)
	}
	f := &flood{program: p, done: make(chan error, 1)}
	go func() { f.done <- f.run() }()
	return f, nil
}

// run redirects live frames to the interface until the flood is ended.
func (f *flood) run() error {
	frame := newFrame()
	for !f.ended.Load() {
		_, err := f.program.Run(&ebpf.RunOptions{
			Data: frame, Repeat: floodBurst, Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES, BatchSize: floodBatch,
		})
		if err != nil {
			return fmt.Errorf("flooding: %w", err)
		}
		f.sent += floodBurst
	}
	return nil
}

// stop ends the flood and returns when the last packet is sent.
func (f *flood) stop() error {
	f.ended.Store(true)
	return errors.Join(<-f.done, f.program.Close())
}

// tap sees the flood's packets that a pod's interface hands to the network stack:
// what XDP drops does not get there.
type tap struct{ fd int }

func newTap(p *workload.Pod) (*tap, error) {
	t := new(tap)
	err := p.Do(func() error {
		var err error
		t.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		var wire [2]byte
		binary.BigEndian.PutUint16(wire[:], ethertype)
		return unix.Bind(t.fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(wire[:]), Ifindex: p.Ifindex})
	})
	if err != nil {
		return nil, fmt.Errorf("opening a packet socket in pod %s: %w", p.Name, err)
	}
	return t, nil
}

// seen is how many packets there were since the last call, those included that
// found the socket's buffer full (packet(7), PACKET_STATISTICS).
func (t *tap) seen() (uint64, error) {
	stats, err := unix.GetsockoptTpacketStats(t.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, fmt.Errorf("reading a packet socket's statistics: %w", err)
	}
	return uint64(stats.Packets), nil
}

func (t *tap) close() { unix.Close(t.fd) }

// underFlood floods a pod while some work is done to its chain, and tells where the
// packets went.
func underFlood(n *node.Node, p *workload.Pod, work func() error) (balance, error) {
	tap, err := newTap(p)
	if err != nil {
		return balance{}, err
	}
	defer tap.close()
	f, err := startFlood(p.Name)
	if err != nil {
		return balance{}, err
	}
	if err := errors.Join(work(), f.stop()); err != nil {
		return balance{}, err
	}
	return takeBalance(n, p, f, tap)
}

// balance says where the packets of a flood went.
type balance struct {
	full    uint64 // never taken in: the veth's ring was full
	taken   uint64 // taken in by the veth
	decided uint64 // in the chain's counters
	passed  uint64 // seen by the network stack, which should see none
}

// takeBalance waits until the veth has taken in what was sent, and reads where the
// packets went.
func takeBalance(n *node.Node, p *workload.Pod, f *flood, t *tap) (balance, error) {
	var b balance
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(settle) {
		stats, err := statistics(p)
		if err != nil {
			return b, err
		}
		still := b.taken == stats.RxPackets
		b.taken, b.full = stats.RxPackets, stats.RxDropped
		if still && b.taken+b.full >= f.sent {
			break
		}
		if time.Now().After(deadline) {
			return b, fmt.Errorf("of at least %d packets sent, %s took in %d and turned %d away", f.sent, p.Name, b.taken, b.full)
		}
	}
	all, err := inspect.Stats(n.Node)
	if err != nil {
		return b, err
	}
	if len(all) != 1 {
		return b, fmt.Errorf("there are %d chains, want the one that was flooded", len(all))
	}
	for _, row := range all[0].Rows {
		if row.Member != "drop" || row.Verdict != chain.VerdictDrop {
			return b, fmt.Errorf("member %s decided %s over %d packets, which member drop should have", row.Member, row.Verdict, row.Packets)
		}
		b.decided += row.Packets
	}
	b.passed, err = t.seen()
	return b, err
}

// statistics are those of the pod's interface. A veth counts as received what its
// XDP program has seen, and as dropped what the ring had no room for
// (veth_get_stats64, drivers/net/veth.c).
func statistics(p *workload.Pod) (*netlink.LinkStatistics, error) {
	var stats *netlink.LinkStatistics
	err := p.Do(func() error {
		l, err := netlink.LinkByName(workload.PodInterface)
		if err != nil {
			return err
		}
		if stats = l.Attrs().Statistics; stats == nil {
			return errors.New("the kernel gives no statistics")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the statistics of pod %s: %w", p.Name, err)
	}
	return stats, nil
}

// report adds where they went, by which way to attach.
func (b balance) report(s *report.Section, by string) {
	s.Add("turned away by a full ring"+by, float64(b.full), "packets")
	s.Add("taken in"+by, float64(b.taken), "packets")
	s.Add("decided by the chain"+by, float64(b.decided), "packets")
	s.Add("past the chain"+by, float64(b.passed), "packets").Target(0)
	// More decided than taken in would be as wrong as less.
	lost := float64(b.taken) - float64(b.decided)
	s.Add("lost or counted twice"+by, max(lost, -lost), "packets").Target(0)
}
