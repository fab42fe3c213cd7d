// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

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

// measureInsns counts the instructions that a packet costs in each way to do the
// work of some members. Of a machine whose clock does not count instructions it
// wants to know nothing.
func measureInsns(ctx context.Context) (*grid, error) {
	if err := checkClock(); err != nil {
		return nil, err
	}
	if err := installObject(); err != nil {
		return nil, err
	}
	g := &grid{Kernel: thisMachine().Kernel, Members: insnsMembers}
	empty, err := emptyRun()
	if err != nil {
		return nil, fmt.Errorf("the test run by itself: %w", err)
	}
	g.TestRun = empty
	for _, v := range variants {
		row := gridRow{Name: v.name, Instructions: make(map[int]int)}
		for _, n := range insnsMembers {
			if v.members != 0 && n != v.members {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if row.Instructions[n], err = v.count(ctx, n); err != nil {
				return nil, fmt.Errorf("%s, %d members: %w", v.name, n, err)
			}
		}
		g.Rows = append(g.Rows, row)
	}
	return g, nil
}

// checkClock makes sure that a program of a thousand more instructions takes a
// thousand nanoseconds more, which it does in QEMU with -icount shift=0 alone.
func checkClock() error {
	const more = 1000
	var took [2]int
	for i := range took {
		p, err := straight(1 + i*more)
		if err != nil {
			return err
		}
		took[i], err = instructions(p)
		if err := errors.Join(err, p.Close()); err != nil {
			return err
		}
	}
	if got := took[1] - took[0]; got != more {
		return fmt.Errorf("%d instructions take %d ns: the clock of this machine does not count them; run make bench-insns, which does this where it does", more, got)
	}
	return nil
}

// straight loads a program that sets its verdict again and again, in as many
// instructions.
func straight(count int) (*ebpf.Program, error) {
	var insns asm.Instructions
	for range count {
		insns = append(insns, asm.Mov.Imm(asm.R0, int32(chain.Pass)))
	}
	return ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, Instructions: append(insns, asm.Return())})
}

// emptyRun counts what every figure has in it: the kernel's loop around a program
// that only returns.
func emptyRun() (int, error) {
	p, err := straight(1)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	return instructions(p)
}

// instructions lets the same packet through a program again and again, and returns
// what it takes in nanoseconds, of which an instruction takes one.
func instructions(p *ebpf.Program) (int, error) {
	packet := make([]byte, 64)
	var took samples
	for range insnsRuns {
		verdict, each, err := p.Benchmark(packet, insnsPackets, nil)
		if err != nil {
			return 0, err
		}
		if verdict != uint32(chain.Pass) {
			return 0, fmt.Errorf("the verdict is %s, not %s", chain.Action(verdict), chain.Pass)
		}
		took = append(took, each)
	}
	return int(took.least() / time.Nanosecond), nil
}

// checkWork makes sure that each of n members has counted all packets, in the maps
// that the given programs use: a member that is passed over costs nothing.
func checkWork(programs []*ebpf.Program, n int) error {
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
		if packets < insnsRuns*insnsPackets {
			return fmt.Errorf("of %d packets a member has counted %d in map %d", insnsRuns*insnsPackets, packets, id)
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
