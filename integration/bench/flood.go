// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
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
