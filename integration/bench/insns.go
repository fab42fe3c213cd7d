// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

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
// work of some members. It refuses a machine whose clock does not count instructions.
func measureInsns(ctx context.Context) (*grid, error) {
	if err := checkClock(); err != nil {
		return nil, err
	}
	if err := installObjects(); err != nil {
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
	var took samples
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
	return int(took.least() / time.Nanosecond), nil
}
