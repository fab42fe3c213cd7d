// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/xdp-chain/xdp-chain/bpf"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

// set is a set of values.
func set(values ...uint32) returns {
	var r returns
	for _, v := range values {
		r |= exactly(v)
	}
	return r
}

func mov(reg asm.Register, v int32) asm.Instruction { return asm.Mov.Imm32(reg, v) }

func TestReturns(t *testing.T) {
	throw := asm.Call.Label("bpf_throw")
	throw.Src = asm.PseudoKfuncCall
	for _, tt := range []struct {
		name  string
		insns asm.Instructions
		want  returns
	}{
		{"a constant", asm.Instructions{mov(asm.R0, 2), asm.Return()}, set(2)},
		{"an address", asm.Instructions{asm.LoadImm(asm.R0, 2, asm.DWord), asm.Return()}, anything},
		{"in 64 bits", asm.Instructions{asm.Mov.Imm(asm.R0, 31), asm.Return()}, set(31)},
		{"beyond 31", asm.Instructions{mov(asm.R0, 32), asm.Return()}, set(1000)},
		{"negative", asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()}, set(1 << 31)},
		{"not set", asm.Instructions{asm.Return()}, anything},
		{"both ways of a branch", asm.Instructions{
			mov(asm.R0, 1),
			asm.JEq.Imm(asm.R1, 7, "out"),
			mov(asm.R0, 2),
			asm.Return().WithSymbol("out"),
		}, set(1, 2)},
		{"the same by distance, over a wide instruction", asm.Instructions{
			mov(asm.R0, 1),
			{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.JEq), Dst: asm.R1, Constant: 7, Offset: 3},
			asm.LoadImm(asm.R2, 9, asm.DWord),
			mov(asm.R0, 2),
			asm.Return(),
		}, set(1, 2)},
		{"a long jump", asm.Instructions{
			mov(asm.R0, 1),
			{OpCode: asm.OpCode(asm.Jump32Class).SetJumpOp(asm.Ja), Constant: 1},
			mov(asm.R0, 2),
			asm.Return(),
		}, set(1)},
		{"two exits", asm.Instructions{
			mov(asm.R0, 1),
			asm.JEq.Imm(asm.R1, 7, "other"),
			asm.Return(),
			mov(asm.R0, 3).WithSymbol("other"),
			asm.Return(),
		}, set(1, 3)},
		{"what is never run does not count", asm.Instructions{
			mov(asm.R0, 1),
			asm.Ja.Label("out"),
			mov(asm.R0, 2),
			asm.Return().WithSymbol("out"),
		}, set(1)},
		{"copies, of 64 and of 32 bits", asm.Instructions{
			mov(asm.R6, 3),
			asm.Mov.Reg(asm.R7, asm.R6),
			asm.Mov.Reg32(asm.R0, asm.R7),
			asm.Return(),
		}, set(3)},
		{"overwritten", asm.Instructions{
			mov(asm.R6, 3),
			asm.LoadMem(asm.R6, asm.R1, 0, asm.Word),
			asm.Mov.Reg(asm.R0, asm.R6),
			asm.Return(),
		}, anything},
		{"the frame pointer", asm.Instructions{asm.Mov.Reg(asm.R0, asm.R10), asm.Return()}, anything},
		{"arithmetic", asm.Instructions{mov(asm.R0, 1), asm.Add.Imm(asm.R0, 1), asm.Return()}, anything},
		{"the sign extended", asm.Instructions{
			mov(asm.R6, 1),
			{OpCode: asm.OpCode(asm.ALU64Class).SetALUOp(asm.MovSX8).SetSource(asm.RegSource), Dst: asm.R0, Src: asm.R6},
			asm.Return(),
		}, anything},
		{"a helper", asm.Instructions{mov(asm.R0, 1), asm.FnKtimeGetNs.Call(), asm.Return()}, anything},
		{"a helper keeps R6 to R9", asm.Instructions{
			mov(asm.R6, 1),
			asm.FnKtimeGetNs.Call(),
			asm.Mov.Reg(asm.R0, asm.R6),
			asm.Return(),
		}, set(1)},
		{"a helper spoils R1 to R5", asm.Instructions{
			mov(asm.R5, 1),
			asm.FnKtimeGetNs.Call(),
			asm.Mov.Reg(asm.R0, asm.R5),
			asm.Return(),
		}, anything},
		{"an exchange with memory", asm.Instructions{
			mov(asm.R0, 1),
			asm.StoreXAdd(asm.R10, asm.R1, asm.Word),
			asm.Return(),
		}, anything},
		{"a store", asm.Instructions{mov(asm.R0, 1), asm.StoreImm(asm.R10, -4, 5, asm.Word), asm.Return()}, set(1)},
		{"a tail call", asm.Instructions{asm.FnTailCall.Call(), mov(asm.R0, 1), asm.Return()}, anything},
		{"the packet, the old way", asm.Instructions{asm.LoadAbs(0, asm.Byte), mov(asm.R0, 1), asm.Return()}, anything},
		{"a function of the kernel", asm.Instructions{throw, mov(asm.R0, 1), asm.Return()}, anything},
		{"a function", asm.Instructions{
			asm.Call.Label("f"),
			asm.Return(),
			mov(asm.R0, 4).WithSymbol("f"),
			asm.Return(),
		}, set(4)},
		{"a function called with another result in mind", asm.Instructions{
			asm.Call.Label("f"),
			mov(asm.R0, 2),
			asm.Return(),
			mov(asm.R0, 4).WithSymbol("f"),
			asm.Return(),
		}, set(2)},
		{"functions that call each other", asm.Instructions{
			asm.Call.Label("f"),
			asm.Return(),
			asm.Call.Label("g").WithSymbol("f"),
			asm.Return(),
			asm.Call.Label("f").WithSymbol("g"),
			asm.Return(),
		}, anything},
		{"a function that leaves by a tail call", asm.Instructions{
			asm.Call.Label("f"),
			asm.Return(),
			asm.FnTailCall.Call().WithSymbol("f"),
			mov(asm.R0, 1),
			asm.Return(),
		}, anything},
		{"a loop", asm.Instructions{
			mov(asm.R0, 0),
			mov(asm.R6, 1),
			asm.Mov.Reg(asm.R7, asm.R0).WithSymbol("again"),
			asm.Mov.Reg(asm.R0, asm.R6),
			mov(asm.R6, 2),
			asm.JNE.Imm(asm.R1, 0, "again"),
			asm.Mov.Reg(asm.R0, asm.R7),
			asm.Return(),
		}, set(0, 1, 2)},
		{"no exit", asm.Instructions{mov(asm.R0, 1)}, anything},
		{"a jump to nowhere", asm.Instructions{mov(asm.R0, 1), asm.Ja.Label("gone"), asm.Return()}, anything},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := returnsFrom(tt.insns); got != tt.want {
				t.Errorf("got %#x, want %#x", uint64(got), uint64(tt.want))
			}
		})
	}
}

// What is found out about programs that a compiler made.
func TestReturnsOfObjects(t *testing.T) {
	for _, tt := range []struct {
		file, function string
		want           returns
	}{
		{"count.o", "count", set(2)},
		{"calls.o", "loop", set(2)},
		{"calls.o", "tail", anything},
		{"refused.o", "refused", anything},
		{"globals.o", "globals", anything},
		{"kernel.o", "core", set(0, 3)},
	} {
		m := chaintest.Object(t, tt.file, tt.function, "a", 0)
		if got := returnsOf(&m); got != tt.want {
			t.Errorf("%s of %s: got %#x, want %#x", tt.function, tt.file, uint64(got), uint64(tt.want))
		}
	}
}

// Of all built-in programs it is known that they return no more than passed and
// dropped packets, so that alone on an interface they run as libxdp's tools run them.
func TestReturnsOfBuiltins(t *testing.T) {
	for name, want := range map[string]returns{"pass": set(2), "drop": set(1), "count": set(2), "acl": set(1, 2)} {
		object, err := bpf.Objects.ReadFile(name + "/" + name + ".o")
		if err != nil {
			t.Fatal(err)
		}
		m := chaintest.ObjectOf(t, object, name, name, 0)
		if got := returnsOf(&m); got != want {
			t.Errorf("%s: got %#x, want %#x", name, uint64(got), uint64(want))
		}
	}
}

// A constant that the kernel's types decide about is none.
func TestReturnsOfCORE(t *testing.T) {
	exists := chaintest.Object(t, "kernel.o", "exists", "a", 0)
	if got := returnsOf(&exists); got != anything {
		t.Errorf("got %#x", uint64(got))
	}
}
