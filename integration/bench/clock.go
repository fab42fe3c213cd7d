// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

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
	return instructions(p, insnsRuns)
}
