// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"bytes"
	"embed"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

//go:embed testdata/*.o
var objects embed.FS

// Settled returns a place in the chain; members are in the order of their positions.
func Settled(name, function string, position int, proceedOn chain.ActionSet) chain.Member {
	return chain.Member{Name: name, Function: function, Priority: position, ProceedOn: proceedOn}
}

// Object makes a member of one program of an object in testdata, with the maps and
// variables that it refers to.
func Object(t testing.TB, file, function, name string, position int) dispatcher.Member {
	t.Helper()
	content, err := objects.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return ObjectOf(t, content, function, name, position)
}

// ObjectOf is [Object] for the content of any object file.
func ObjectOf(t testing.TB, content []byte, function, name string, position int) dispatcher.Member {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	p := spec.Programs[function]
	if p == nil {
		t.Fatalf("the object of member %s has no program %s", name, function)
	}
	maps := make(map[string]*ebpf.MapSpec)
	for _, ins := range p.Instructions {
		if ins.IsLoadFromMap() && spec.Maps[ins.Reference()] != nil {
			maps[ins.Reference()] = spec.Maps[ins.Reference()]
		}
	}
	for v, variable := range spec.Variables {
		if maps[variable.SectionName] == nil {
			delete(spec.Variables, v)
		}
	}
	spec.Maps = maps
	spec.Programs = map[string]*ebpf.ProgramSpec{function: p}
	return dispatcher.Member{Member: Settled(name, function, position, chain.DefaultProceedOn), Spec: spec}
}

// Globals makes a member of globals.o, which adds step to its sum, counts its packets
// and returns verdict.
func Globals(t testing.TB, name string, position int, verdict chain.Action, step uint32) dispatcher.Member {
	t.Helper()
	m := Object(t, "globals.o", "globals", name, position)
	for variable, value := range map[string]uint32{"verdict": uint32(verdict), "step": step} {
		if err := m.Spec.Variables[variable].Set(value); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// Counting makes n members that each count a packet in a map of their own.
func Counting(t testing.TB, n int) []dispatcher.Member {
	t.Helper()
	var members []dispatcher.Member
	for i := range n {
		members = append(members, Object(t, "count.o", "count", fmt.Sprintf("count-%d", i), i))
	}
	return members
}

// Program makes a member of instructions.
func Program(name string, position int, proceedOn chain.ActionSet, insns ...asm.Instruction) dispatcher.Member {
	insns[0] = btf.WithFuncMetadata(insns[0], load.XDPFunc("main"))
	return dispatcher.Member{
		Member: Settled(name, "main", position, proceedOn),
		Spec: &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{
			"main": {Name: "main", Type: ebpf.XDP, Instructions: insns, License: "GPL"},
		}},
	}
}

// Returning makes a member that always returns the same.
func Returning(name string, position int, value uint32) dispatcher.Member {
	return Program(name, position, chain.DefaultProceedOn, asm.Mov.Imm32(asm.R0, int32(value)), asm.Return())
}

// Told makes a member that returns the 32-bit word of the packet at its position, in a
// register whose upper half is no part of the verdict. [Packet] holds the words.
func Told(name string, position int, proceedOn chain.ActionSet) dispatcher.Member {
	offset := int16(4 * position)
	return Program(
		name, position, proceedOn,
		asm.LoadMem(asm.R2, asm.R1, 4, asm.Word), // data_end
		asm.LoadMem(asm.R1, asm.R1, 0, asm.Word), // data
		asm.Mov.Reg(asm.R3, asm.R1),
		asm.Add.Imm(asm.R3, int32(offset)+4),
		asm.JGT.Reg(asm.R3, asm.R2, "short"),
		asm.LoadMem(asm.R0, asm.R1, offset, asm.Word),
		asm.LoadImm(asm.R1, -1<<32, asm.DWord),
		asm.Or.Reg(asm.R0, asm.R1),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("short"),
		asm.Return(),
	)
}

// Spec returns a member's only program.
func Spec(m dispatcher.Member) *ebpf.ProgramSpec { return m.Spec.Programs[m.Function] }

// Strip takes BTF and line info from a member, as llvm-strip does.
func Strip(m dispatcher.Member) dispatcher.Member {
	insns := Spec(m).Instructions
	for i := range insns {
		insns[i] = btf.WithFuncMetadata(insns[i], nil).WithSource(nil)
	}
	return m
}
