// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/integration/bench/report"
	"github.com/xdp-chain/xdp-chain/integration/bench/workload"
)

const (
	// packetTargetTimes is how much longer than ten members in one C function a
	// linked chain of the ten may take.
	packetTargetTimes = 1.6
	// packetTargetCounters is what counters may add to a packet, in ns.
	packetTargetCounters = 3
)

// way is one way to do the work of some members.
type way struct {
	name    string
	program *ebpf.Program
	samples report.Samples
}

// measurePackets compares what a packet costs in a chain, with and without
// counters, and in one C function that does the same.
func measurePackets(ctx context.Context, z sizes) (*report.Section, error) {
	s := &report.Section{Name: "packets", Title: fmt.Sprintf("A packet, least of %d runs of %d", z.packetRounds, z.packetRepeat)}
	if err := measureTestRun(s, z); err != nil {
		return nil, fmt.Errorf("the test run by itself: %w", err)
	}
	for _, n := range []int{1, 2, 5, 10} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := measureChain(ctx, s, z, n); err != nil {
			return nil, fmt.Errorf("%d members: %w", n, err)
		}
	}
	return s, nil
}

// measureTestRun adds what every figure of the section has in it: a program that
// does nothing, and the kernel's loop around it.
func measureTestRun(s *report.Section, z sizes) error {
	p, err := workload.LoadMoves(1)
	if err != nil {
		return err
	}
	defer p.Close()
	w := way{name: "the test run by itself", program: p}
	for range z.packetRounds {
		if err := w.sample(z.packetRepeat); err != nil {
			return err
		}
	}
	s.Add(w.name, w.perPacket(z.packetRepeat), "ns")
	return nil
}

// measureChain compares the three ways for n members.
func measureChain(ctx context.Context, s *report.Section, z sizes, n int) error {
	function, err := workload.Load(workload.TogetherFunction(n))
	if err != nil {
		return err
	}
	defer function.Close()
	plain, err := workload.Build(ctx, n, false)
	if err != nil {
		return err
	}
	defer plain.Close()
	counted, err := workload.Build(ctx, n, true)
	if err != nil {
		return err
	}
	defer counted.Close()

	ways := []*way{
		{name: fmt.Sprintf("%d in one C function", n), program: function},
		{name: fmt.Sprintf("chain of %d, counters off", n), program: plain.Program},
		{name: fmt.Sprintf("chain of %d", n), program: counted.Program},
	}
	for range z.packetRounds {
		for _, i := range rand.Perm(len(ways)) {
			if err := ways[i].sample(z.packetRepeat); err != nil {
				return err
			}
		}
	}
	var figures []*report.Figure
	for _, w := range ways {
		figures = append(figures, s.Add(w.name, w.perPacket(z.packetRepeat), "ns"))
	}
	figures[1].Against(figures[0])
	figures[2].Against(figures[0])
	added := s.Add(fmt.Sprintf("what counters add to %d", n), figures[2].Value-figures[1].Value, "ns")
	added.Target(packetTargetCounters)
	if n == 10 {
		s.Add("chain of 10, counters off / in one C function", figures[1].Times, "x").Target(packetTargetTimes)
	}
	return nil
}

// sample lets the same packet through the program again and again, and notes the
// processor time that took. The duration that the kernel returns is cut to whole
// nanoseconds a packet, and the wall time is mostly two grace periods that the
// kernel waits for around a test run (kernel/bpf/dispatcher.c).
func (w *way) sample(repeat int) error {
	packet := make([]byte, 64)
	runtime.LockOSThread() // whose time is taken
	defer runtime.UnlockOSThread()
	start, err := threadTime()
	if err != nil {
		return err
	}
	if _, err := w.program.Run(&ebpf.RunOptions{Data: packet, Repeat: uint32(repeat)}); err != nil {
		return err
	}
	end, err := threadTime()
	w.samples = append(w.samples, end-start)
	return err
}

// perPacket returns the least time a packet took, in ns.
func (w *way) perPacket(repeat int) float64 { return float64(w.samples.Least()) / float64(repeat) }

// threadTime is how long the calling thread has run.
func threadTime() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano()), err
}
