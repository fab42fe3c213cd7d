// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

// assemble returns the whole chain as one program that uses the maps of built: the
// dispatcher first, then every member with its functions.
func assemble(members []dispatcher.Member, built *dispatcher.Built, opts dispatcher.Options) (*ebpf.ProgramSpec, error) {
	insns := dispatch(members, built.Counters, opts.TXByRedirect)
	for i := range members {
		m := &members[i]
		own, err := relocate(m, built.Maps[m.Name])
		if err != nil {
			return nil, fmt.Errorf("linking member %q: %w", m.Name, err)
		}
		insns = append(insns, own...)
	}
	first := members[0].Spec.Programs[members[0].Function]
	spec := &ebpf.ProgramSpec{
		Name:         ProgramName,
		Type:         ebpf.XDP,
		AttachType:   ebpf.AttachXDP,
		Ifindex:      uint32(opts.Ifindex),
		Instructions: insns,
		// All are compatible with the GPL or all are not: see checkLicenses.
		License:   first.License,
		ByteOrder: first.ByteOrder,
	}
	if load.TakesFrags(members) {
		spec.Flags |= unix.BPF_F_XDP_HAS_FRAGS
	}
	return spec, nil
}

// relocate returns a copy of a member's instructions with its maps in place, its
// symbols made its own, and BTF and a line for each of its functions.
func relocate(m *dispatcher.Member, maps map[string]*ebpf.Map) (asm.Instructions, error) {
	source := m.Spec.Programs[m.Function].Instructions
	symbols := make(map[string]bool)
	for _, ins := range source {
		symbols[ins.Symbol()] = true
	}
	functions := make(map[string]bool)
	for _, name := range source.FunctionReferences() {
		functions[name] = true
	}
	insns := slices.Clone(source)
	if err := load.Associate(insns, maps); err != nil {
		return nil, err
	}
	for i, ins := range insns {
		if name := ins.Reference(); name != "" && symbols[name] {
			ins = ins.WithReference(scoped(m, name))
		}
		switch symbol := ins.Symbol(); {
		case i == 0:
			// In place of the object's own description, which is missing in objects without
			// BTF and whose argument may be of any type, as the verifier does not read it
			// for a program. Profilers show the name: <member>__<function>.
			ins = describe(ins.WithSymbol(entry(m)), m, load.XDPFunc(identifier(m.Name, m.Function)))
		case functions[symbol]:
			ins = describe(ins.WithSymbol(scoped(m, symbol)), m, subFunc(m, &ins))
		case symbol != "":
			ins = ins.WithSymbol(scoped(m, symbol))
		}
		insns[i] = ins
	}
	return insns, nil
}

// scoped makes a symbol of a member's own. A colon stands in no member's name, so
// that no two members' symbols meet, nor the dispatcher's, which begin with one.
func scoped(m *dispatcher.Member, symbol string) string { return m.Name + ":" + symbol }

// entry returns the symbol of a member's first instruction.
func entry(m *dispatcher.Member) string {
	return scoped(m, m.Spec.Programs[m.Function].Instructions[0].Symbol())
}

// maxFunctionName is the kernel's KSYM_NAME_LEN before 6.1, without the final zero.
const maxFunctionName = 127

// subFunc returns the object's own description of a function that a member calls,
// or a made-up one: of a static function the verifier reads only that it returns an
// int.
func subFunc(m *dispatcher.Member, ins *asm.Instruction) *btf.Func {
	if own := btf.FuncMetadata(ins); own != nil {
		return own
	}
	return &btf.Func{Name: identifier(m.Name, ins.Symbol()), Type: &btf.FuncProto{Return: load.XDPProto.Return}, Linkage: btf.StaticFunc}
}

// describe gives BTF and, where it has none, a line to the first instruction of a
// function.
func describe(ins asm.Instruction, m *dispatcher.Member, fn *btf.Func) asm.Instruction {
	ins = btf.WithFuncMetadata(ins, fn)
	if ins.Source() == nil {
		ins = ins.WithSource(asm.Comment(fmt.Sprintf("%s of member %s", fn.Name, m.Name)))
	}
	return ins
}

// identifier makes a C identifier, as BTF demands it of a function's name.
func identifier(member, function string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case '0' <= r && r <= '9', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', r == '_':
			return r
		}
		return '_'
	}, member+"__"+function)
	if '0' <= name[0] && name[0] <= '9' {
		name = "_" + name
	}
	return name[:min(len(name), maxFunctionName)]
}

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
	insns := asm.Instructions{btf.WithFuncMetadata(first, load.XDPFunc(ProgramName))}
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

// maxCompares is the number of verdicts up to which comparing with one after the
// other is cheaper than a look at the mask.
const maxCompares = 3

// proceed returns what follows the call of member i: the test that falls through to
// the next member with the likeliest verdict of its proceedOn, and the instructions
// for all other verdicts, to be put aside.
func proceed(i int, set chain.ActionSet, counted bool) (test, aside asm.Instructions) {
	final := symbolExit
	if counted {
		final = symbolFinal(i)
	}
	verdicts := likeliest(set)
	switch {
	case set == 0:
		// Always taken. With a plain jump no instruction would lead to the members
		// behind, which the verifier refuses; this way it cuts them off itself.
		test = asm.Instructions{asm.Mov.Imm32(asm.R1, 0), asm.JEq.Imm32(asm.R1, 0, final)}
	case len(verdicts) > maxCompares:
		test = asm.Instructions{asm.JNE.Imm32(asm.R0, verdicts[0], symbolRest(i))}
		aside = asm.Instructions{ // on to the next member if the verdict's bit is set
			asm.JGT.Imm32(asm.R0, 31, final),
			asm.Mov.Imm32(asm.R1, 1),
			asm.LSh.Reg32(asm.R1, asm.R0),
			asm.JSet.Imm32(asm.R1, int32(set), symbolNext(i+1)),
		}
	case len(verdicts) > 1:
		test = asm.Instructions{asm.JNE.Imm32(asm.R0, verdicts[0], symbolRest(i))}
		for _, v := range verdicts[1:] {
			aside = append(aside, asm.JEq.Imm32(asm.R0, v, symbolNext(i+1)))
		}
	default:
		test = asm.Instructions{asm.JNE.Imm32(asm.R0, verdicts[0], final)}
	}
	if len(aside) > 0 {
		aside[0] = aside[0].WithSymbol(symbolRest(i))
	}
	switch {
	case counted:
		aside = append(aside, position(i).WithSymbol(final), asm.Ja.Label(symbolCount))
	case len(aside) > 0:
		aside = append(aside, asm.Ja.Label(symbolExit))
	}
	return test, aside
}

// likeliest lists the verdicts of a set, the likeliest to be returned first: pass,
// then what an empty slot returns, then the others.
func likeliest(set chain.ActionSet) []int32 {
	var verdicts []int32
	for _, v := range []chain.Action{chain.Pass, chain.DispatcherReturn} {
		if set.Has(v) {
			verdicts = append(verdicts, int32(v))
			set &^= 1 << v
		}
	}
	for ; set != 0; set &= set - 1 {
		verdicts = append(verdicts, int32(bits.TrailingZeros32(uint32(set))))
	}
	return verdicts
}

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

const (
	// exitContext holds the context up to the exit: it survives calls, and count needs
	// r6 for another thing.
	exitContext = asm.R7

	// ingressIfindex is the offset of that field in struct xdp_md of linux/bpf.h.
	ingressIfindex = 12
)

// exit ends the program with the verdict in r0. With txByRedirect, tx is carried out
// as a redirect to the interface that the frame came from, aside of the straight way,
// which costs other verdicts one instruction.
func exit(txByRedirect bool) (straight, aside asm.Instructions) {
	if !txByRedirect {
		return asm.Instructions{asm.Return().WithSymbol(symbolExit)}, nil
	}
	straight = asm.Instructions{
		asm.JEq.Imm32(asm.R0, int32(chain.TX), ":back").WithSymbol(symbolExit),
		asm.Return(),
	}
	aside = asm.Instructions{
		asm.LoadMem(asm.R1, exitContext, ingressIfindex, asm.Word).WithSymbol(":back"),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
	}
	return straight, aside
}
