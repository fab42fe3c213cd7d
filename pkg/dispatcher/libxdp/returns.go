// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// returns is a set of values that a function may return, or that a register may
// hold: bit n stands for n, up to 31, and bit 32 for all values beyond. Of 64-bit
// registers the lower half counts, as the kernel takes no more of a verdict.
type returns uint64

const anything returns = 1<<33 - 1

func exactly(v uint32) returns { return 1 << min(v, 32) }

// any reports whether a value of the set is among actions.
func (r returns) any(actions chain.ActionSet) bool { return r&returns(actions) != 0 }

// returnsFrom returns a set that holds every value which a program can return. It
// follows constants through registers along all ways through the program and does
// not ask whether a way is ever taken: a value in the set may be one that is never
// returned. What comes from memory, helpers, arithmetic, the kernel's own types or
// another program may be anything.
func returnsFrom(insns asm.Instructions) returns {
	p, ok := newProgram(insns)
	if !ok {
		return anything
	}
	return p.function(0)
}

// program is a program whose jumps have been resolved.
type program struct {
	insns asm.Instructions
	// targets are where jumps and calls lead: positions in insns, by position.
	targets map[int]int
	// results are those of the functions called, by position; anything while one is
	// being found out, for those that call themselves.
	results map[int]returns
}

// newProgram resolves the jumps and the calls of functions. ok is false where one leads
// nowhere or to where a register says, or a function of the kernel is called: bpf_throw,
// for one, ends the whole program with a value of its own.
func newProgram(insns asm.Instructions) (p *program, ok bool) {
	symbols := make(map[string]int)
	offsets := make(map[asm.RawInstructionOffset]int)
	for iter := insns.Iterate(); iter.Next(); {
		offsets[iter.Offset] = iter.Index
		if symbol := iter.Ins.Symbol(); symbol != "" {
			symbols[symbol] = iter.Index
		}
	}
	p = &program{insns: insns, targets: make(map[int]int), results: make(map[int]returns)}
	for iter := insns.Iterate(); iter.Next(); {
		ins := iter.Ins
		indirect := ins.OpCode.JumpOp() == asm.Ja && ins.OpCode.Source() == asm.RegSource
		if ins.IsKfuncCall() || indirect {
			return nil, false
		}
		if !leadsAway(ins) {
			continue
		}
		to, found := symbols[ins.Reference()]
		if ins.Reference() == "" {
			to, found = offsets[iter.Offset+1+distance(ins)]
		}
		if !found {
			return nil, false
		}
		p.targets[iter.Index] = to
	}
	return p, true
}

// leadsAway reports whether an instruction has a target: a jump, or a call of a
// function of the program.
func leadsAway(ins *asm.Instruction) bool {
	switch ins.OpCode.JumpOp() {
	case asm.InvalidJumpOp, asm.Exit:
		return false
	case asm.Call:
		return ins.IsFunctionCall()
	}
	return true
}

// distance is how far a jump or call without a reference leads from the instruction
// behind it.
func distance(ins *asm.Instruction) asm.RawInstructionOffset {
	long := ins.OpCode.JumpOp() == asm.Ja && ins.OpCode.Class() == asm.Jump32Class
	if long || ins.OpCode.JumpOp() == asm.Call {
		return asm.RawInstructionOffset(ins.Constant)
	}
	return asm.RawInstructionOffset(ins.Offset)
}

// registers hold what is in R0 to R9 before an instruction. The zero value stands for
// an instruction that no way has led to yet.
type registers [10]returns

var unknown = registers{anything, anything, anything, anything, anything, anything, anything, anything, anything, anything}

// join adds what another way brings and reports whether that is news.
func (r *registers) join(other *registers) bool {
	before := *r
	for i := range r {
		r[i] |= other[i]
	}
	return *r != before
}

// function returns what the function at a position returns.
func (p *program) function(entry int) returns {
	if known, ok := p.results[entry]; ok {
		return known
	}
	p.results[entry] = anything
	var result returns
	states := make([]registers, len(p.insns))
	states[entry] = unknown
	for work := []int{entry}; len(work) > 0; {
		at := work[len(work)-1]
		work = work[:len(work)-1]
		after, leaves := p.step(at, states[at])
		result |= leaves
		for _, next := range p.next(at) {
			if next >= len(p.insns) {
				return anything
			}
			if states[next].join(&after) {
				work = append(work, next)
			}
		}
	}
	p.results[entry] = result
	return result
}

// next returns the positions that may follow one within its function.
func (p *program) next(at int) []int {
	switch op := p.insns[at].OpCode.JumpOp(); {
	case op == asm.Exit:
		return nil
	case op == asm.InvalidJumpOp, op == asm.Call:
		return []int{at + 1}
	case op == asm.Ja:
		return []int{p.targets[at]}
	default:
		return []int{at + 1, p.targets[at]}
	}
}

// step returns what the registers hold after an instruction, and what the function
// returns if it ends there.
func (p *program) step(at int, r registers) (after registers, leaves returns) {
	ins := &p.insns[at]
	switch class := ins.OpCode.Class(); {
	case class.IsJump() && ins.OpCode.JumpOp() == asm.Exit:
		return r, r[asm.R0]
	case class.IsJump() && ins.OpCode.JumpOp() == asm.Call:
		return p.call(at, r)
	case class.IsJump():
		return r, 0
	case class.IsStore():
		// Atomic operations may put what was in memory into a register, which of
		// them depends on the operation.
		if ins.OpCode.Mode() == asm.AtomicMode {
			return unknown, 0
		}
		return r, 0
	case class.IsLoad() && (ins.OpCode.Mode() == asm.AbsMode || ins.OpCode.Mode() == asm.IndMode):
		// They end the program where the packet does.
		return unknown, anything
	}
	if int(ins.Dst) < len(r) {
		r[ins.Dst] = value(ins, &r)
	}
	return r, 0
}

// value returns what an instruction that is no jump and no store puts into its
// register.
func value(ins *asm.Instruction, r *registers) returns {
	// A move with an offset extends a sign. A constant with a CO-RE relocation is the
	// kernel's, and comes with the load.
	if ins.OpCode.ALUOp() != asm.Mov || ins.Offset != 0 || btf.CORERelocationMetadata(ins) != nil {
		return anything
	}
	if ins.OpCode.Source() == asm.ImmSource {
		return exactly(uint32(ins.Constant))
	}
	if int(ins.Src) < len(r) {
		return r[ins.Src]
	}
	return anything // the frame pointer
}

// call returns what the registers hold after a call.
func (p *program) call(at int, r registers) (after registers, leaves returns) {
	ins := &p.insns[at]
	result := anything
	switch {
	case ins.IsFunctionCall():
		result = p.function(p.targets[at])
	case ins.IsBuiltinCall() && asm.BuiltinFunc(ins.Constant) == asm.FnTailCall:
		// The program that it leads to returns to where this one would.
		leaves = anything
	}
	for reg := asm.R0; reg <= asm.R5; reg++ {
		r[reg] = anything
	}
	r[asm.R0] = result
	return r, leaves
}
