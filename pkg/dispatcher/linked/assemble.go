// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

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
			ins = describe(ins.WithSymbol(entry(m)), m, entryFunc(m))
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

// entryFunc describes a member's entry. It takes the place of the object's own
// description, which is missing in objects without BTF and whose argument may be of
// any type, as the verifier does not read it for a program. Profilers show the name:
// <member>__<function>.
func entryFunc(m *dispatcher.Member) *btf.Func {
	return load.XDPFunc(identifier(m.Name, m.Function))
}

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
