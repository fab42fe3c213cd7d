// SPDX-License-Identifier: Apache-2.0

// Package chaintest holds what a chain means, as tests that every dispatcher has to
// pass, and the members, chains and packets that they and the dispatchers' own tests
// are made of. Only tests import it.
//
// # Mechanism
//
// [Test] is the whole of it: chains are built, loaded and run in this kernel, and what
// they do is compared with chain.Decide and with what package dispatcher promises. A
// dispatcher that does not count passes as well: counters are looked at where a Built
// has them.
//
// # Traps
//
// Members made here have BTF, as not every dispatcher takes others; [Strip] takes it
// from them.
package chaintest

import (
	"bytes"
	"context"
	"embed"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

//go:generate ../../../../bpf/compile.sh testdata/calls.c testdata/calls.o
//go:generate ../../../../bpf/compile.sh testdata/count.c testdata/count.o
//go:generate ../../../../bpf/compile.sh testdata/globals.c testdata/globals.o
//go:generate ../../../../bpf/compile.sh testdata/kernel.c testdata/kernel.o
//go:generate ../../../../bpf/compile.sh testdata/refused.c testdata/refused.o

// Test holds a dispatcher against what every chain means and promises.
func Test(t *testing.T, d dispatcher.Dispatcher) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, dispatcher.Dispatcher)
	}{
		{"every proceedOn", everyProceedOn},
		{"random chains", randomChains},
		{"order", order},
		{"same names", sameNames},
		{"one of several programs", oneOfSeveral},
		{"callback", callback},
		{"tail call", tailCall},
		{"frags", frags},
		{"kernel version", kernelVersion},
		{"CO-RE", coRE},
		{"members unchanged", membersUnchanged},
		{"given maps", givenMaps},
		{"wrong map given", wrongMapGiven},
		{"map refused", mapRefused},
		{"map in map", mapInMap},
		{"entry programs", entryPrograms},
		{"entry programs elsewhere", entryProgramsElsewhere},
		{"entry program refused", entryProgramRefused},
		{"member refused", memberRefused},
		{"bad members", badMembers},
		{"not permitted", notPermitted},
		{"canceled", canceled},
		{"nothing is left", nothingIsLeft},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, d) })
	}
}

// Build builds a chain that is closed at the end of the test.
func Build(t testing.TB, d dispatcher.Dispatcher, opts dispatcher.Options, members ...dispatcher.Member) *dispatcher.Built {
	t.Helper()
	built, err := d.Build(context.Background(), members, opts)
	if err != nil {
		t.Fatalf("building a chain of %d: %+v", len(members), err)
	}
	t.Cleanup(func() {
		if err := built.Close(); err != nil {
			t.Error(err)
		}
	})
	return built
}

// BuildError returns the error of a chain that must not load.
func BuildError(t testing.TB, d dispatcher.Dispatcher, opts dispatcher.Options, members ...dispatcher.Member) error {
	t.Helper()
	built, err := d.Build(context.Background(), members, opts)
	if err == nil {
		built.Close()
		t.Fatal("the chain was built")
	}
	if built != nil {
		t.Errorf("an error and a chain: %v", built)
	}
	t.Log(err)
	return err
}

// Run sends one packet through a program and returns its verdict.
func Run(t testing.TB, p *ebpf.Program, packet []byte) uint32 {
	t.Helper()
	verdict, err := p.Run(&ebpf.RunOptions{Data: packet})
	if err != nil {
		t.Fatalf("running %s: %v", p, err)
	}
	return verdict
}

// Frame is an Ethernet frame of zeros.
func Frame() []byte { return make([]byte, 64) }

// Packet holds what members made by [Told] shall return.
func Packet(returns []uint32) []byte {
	data := make([]byte, max(64, 4*len(returns)))
	for i, v := range returns {
		binary.NativeEndian.PutUint32(data[4*i:], v)
	}
	return data
}

// Word reads the first 8 bytes of entry 0 of an array.
func Word(t testing.TB, m *ebpf.Map) uint64 {
	t.Helper()
	value, err := m.LookupBytes(uint32(0))
	if err != nil {
		t.Fatalf("reading %s: %v", m, err)
	}
	return binary.NativeEndian.Uint64(value)
}

//go:embed testdata/*.o
var objects embed.FS

// Settled returns a place in the chain; members are in the order of their positions.
func Settled(name, function string, position int, proceedOn chain.ActionSet) chain.Member {
	return chain.Member{Name: name, Function: function, Priority: position, ProceedOn: proceedOn}
}

// Object makes a member of one program of an object in testdata.
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

// Spec returns a member's program.
func Spec(m dispatcher.Member) *ebpf.ProgramSpec { return m.Spec.Programs[m.Function] }

// Strip takes BTF and line info from a member, as llvm-strip does.
func Strip(m dispatcher.Member) dispatcher.Member {
	insns := Spec(m).Instructions
	for i := range insns {
		insns[i] = btf.WithFuncMetadata(insns[i], nil).WithSource(nil)
	}
	return m
}
