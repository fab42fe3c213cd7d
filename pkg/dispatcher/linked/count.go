// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// keyOffset is where in the dispatcher's stack frame the key of the counters lies.
const keyOffset = -4

// position writes the position that decided where count looks for it.
func position(i int) asm.Instruction {
	return asm.StoreImm(asm.RFP, keyOffset, int64(i), asm.Word)
}

// count adds one in the row of the position and the column of chain.VerdictOf(r0),
// and leaves the verdict in r0. An increment that is not atomic will do: the row is
// this CPU's own, and the kernel runs XDP programs with softirqs disabled. It
// returns the straight way, which ends before the exit, and what is put aside.
func count(counters *ebpf.Map) (straight, aside asm.Instructions) {
	const (
		verdict = asm.R6 // survives calls; the context is needed no more
		column  = asm.R1
	)
	straight = asm.Instructions{
		asm.Mov.Reg(verdict, asm.R0).WithSymbol(symbolCount),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, keyOffset),
		asm.LoadMapPtr(asm.R1, counters.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, ":uncounted"), // never; the verifier demands it
		asm.Mov.Reg32(column, verdict),
		asm.JGT.Imm(column, int32(chain.Redirect), ":odd"),
		asm.LSh.Imm(column, 3).WithSymbol(":add"),
		asm.Add.Reg(asm.R0, column),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
		asm.Mov.Reg(asm.R0, verdict).WithSymbol(":uncounted"),
	}
	aside = asm.Instructions{
		asm.Mov.Imm(column, int32(chain.VerdictDispatcherReturn)).WithSymbol(":odd"),
		asm.JEq.Imm32(verdict, int32(chain.DispatcherReturn), ":add"),
		asm.Mov.Imm(column, int32(chain.VerdictInvalid)),
		asm.Ja.Label(":add"),
	}
	return straight, aside
}
