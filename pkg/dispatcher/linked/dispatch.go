// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// The dispatcher's own symbols. They begin with a colon, see scoped.
const (
	symbolCount = ":count"
	symbolExit  = ":exit"
)

func symbolNext(i int) string  { return ":next" + strconv.Itoa(i) }
func symbolRest(i int) string  { return ":rest" + strconv.Itoa(i) }
func symbolFinal(i int) string { return ":final" + strconv.Itoa(i) }

// dispatch writes the program in front. For members a (proceedOn pass and
// dispatcher_return) and b (pass), with counters:
//
//		r6 = ctx
//		call a
//		if r0 != pass goto rest0
//	next1:
//		r1 = r6
//		call b
//		if r0 != pass goto final1
//	next2:
//		r0 = pass
//		position = 2
//	count:
//		one increment, see count
//	exit:
//		exit
//	rest0:
//		if r0 == dispatcher_return goto next1
//	final0:
//		position = 0
//		goto count
//	final1:
//		position = 1
//		goto count
//
// So a member that lets the packet go on costs three instructions and its call, all
// in a straight line, and who decided is known by the place in the program. Without
// counters all decisions lead to the same exit.
//
// Comparisons are of the lower 32 bits of r0: the kernel takes no more than those
// from a program.
//
// With [dispatcher.Options.TXByRedirect] the exit looks for tx, see exit.
func dispatch(members []dispatcher.Member, counters *ebpf.Map, txByRedirect bool) asm.Instructions {
	first := asm.Mov.Reg(asm.R6, asm.R1).WithSymbol(ProgramName).WithSource(asm.Comment("the dispatcher"))
	insns := asm.Instructions{btf.WithFuncMetadata(first, dispatcherFunc())}
	if txByRedirect {
		insns = append(insns, asm.Mov.Reg(exitContext, asm.R6))
	}
	var asides asm.Instructions
	for i := range members {
		m := &members[i]
		if i > 0 {
			insns = append(insns, asm.Mov.Reg(asm.R1, asm.R6).WithSymbol(symbolNext(i)))
		}
		test, aside := proceed(i, m.ProceedOn, counters != nil)
		insns = append(insns, asm.Call.Label(entry(m)))
		insns = append(insns, test...)
		asides = append(asides, aside...)
	}
	insns = append(insns, asm.Mov.Imm32(asm.R0, int32(chain.Pass)).WithSymbol(symbolNext(len(members))))
	if counters != nil {
		straight, aside := count(counters)
		insns = append(insns, position(len(members)))
		insns = append(insns, straight...)
		asides = append(asides, aside...)
	}
	straight, aside := exit(txByRedirect)
	insns = append(insns, straight...)
	return append(append(insns, asides...), aside...)
}
