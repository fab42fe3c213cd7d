// SPDX-License-Identifier: Apache-2.0

// Package insns counts the instructions that a packet costs in each way to chain
// programs, by a clock that only an emulated processor has.
package insns

//go:generate ../../../bpf/compile.sh testdata/tailcalls.c testdata/tailcalls.o

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/integration/bench/report"
	"github.com/xdp-chain/xdp-chain/integration/bench/workload"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

const (
	// insnsRuns is how many test runs there are of each program, of which the one
	// counts that took least: the others had an interrupt in them.
	insnsRuns = 20
	// insnsPackets is how many packets a test run has. What it does once, such as
	// reading the clock, is a thousandth of it and so below what the kernel tells.
	insnsPackets = 1000
)

// insnsMembers are the lengths of the chains that are compared.
var insnsMembers = []int{1, 5, 10}

// Measure counts the instructions that a packet costs in each way to do the
// work of some members. It refuses a machine whose clock does not count instructions.
func Measure(ctx context.Context) (*Grid, error) {
	if err := checkClock(); err != nil {
		return nil, err
	}
	if err := workload.InstallObjects(); err != nil {
		return nil, err
	}
	g := &Grid{Kernel: report.ThisMachine().Kernel, Members: insnsMembers}
	empty, err := emptyRun()
	if err != nil {
		return nil, fmt.Errorf("the test run by itself: %w", err)
	}
	g.TestRun = empty
	for _, v := range variants {
		row := Row{Name: v.name, Instructions: make(map[int]int)}
		for _, n := range insnsMembers {
			if v.members != 0 && n != v.members {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if row.Instructions[n], err = v.count(ctx, n, insnsRuns); err != nil {
				return nil, fmt.Errorf("%s, %d members: %w", v.name, n, err)
			}
		}
		g.Rows = append(g.Rows, row)
	}
	return g, nil
}

// instructions lets the same packet through a program again and again, and returns
// the nanoseconds that it takes, one for each instruction.
func instructions(p *ebpf.Program, runs int) (int, error) {
	packet := make([]byte, 64)
	var took report.Samples
	for range runs {
		verdict, each, err := p.Benchmark(packet, insnsPackets, nil)
		if err != nil {
			return 0, err
		}
		if verdict != uint32(chain.Pass) {
			return 0, fmt.Errorf("the verdict is %s, not %s", chain.Action(verdict), chain.Pass)
		}
		took = append(took, each)
	}
	return int(took.Least() / time.Nanosecond), nil
}

// checkClock makes sure that a program of a thousand more instructions takes a
// thousand nanoseconds more, which it does in QEMU with -icount shift=0 alone.
func checkClock() error {
	const more = 1000
	var took [2]int
	for i := range took {
		p, err := workload.LoadMoves(1 + i*more)
		if err != nil {
			return err
		}
		took[i], err = instructions(p, insnsRuns)
		if err := errors.Join(err, p.Close()); err != nil {
			return err
		}
	}
	if got := took[1] - took[0]; got != more {
		return fmt.Errorf("%d instructions take %d ns: the clock of this machine does not count them; run make bench-insns, which does this where it does", more, got)
	}
	return nil
}

// emptyRun counts what every figure has in it: the kernel's loop around a program
// that only returns.
func emptyRun() (int, error) {
	p, err := workload.LoadMoves(1)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	return instructions(p, insnsRuns)
}

// checkWork makes sure that each of n members has counted all packets of some test
// runs, in the maps that the given programs use: a member that is passed over costs
// nothing.
func checkWork(programs []*ebpf.Program, n, runs int) error {
	counted := make(map[ebpf.MapID]uint64)
	for _, p := range programs {
		info, err := p.Info()
		if err != nil {
			return err
		}
		ids, _ := info.MapIDs()
		for _, id := range ids {
			if err := readCount(counted, id); err != nil {
				return fmt.Errorf("reading map %d: %w", id, err)
			}
		}
	}
	if len(counted) != n {
		return fmt.Errorf("%d members have a map to count packets in, not %d", len(counted), n)
	}
	for id, packets := range counted {
		// A run that a signal ends early is begun anew.
		if sent := uint64(runs * insnsPackets); packets < sent {
			return fmt.Errorf("of %d packets a member has counted %d in map %d", sent, packets, id)
		}
	}
	return nil
}

// readCount notes the packets in a map, if it is one that a member counts in.
func readCount(counted map[ebpf.MapID]uint64, id ebpf.MapID) error {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return err
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil || !strings.HasPrefix(info.Name, "packets") {
		return err
	}
	var perCPU []uint64
	if err := m.Lookup(uint32(0), &perCPU); err != nil {
		return err
	}
	counted[id] = 0
	for _, packets := range perCPU {
		counted[id] += packets
	}
	return nil
}
