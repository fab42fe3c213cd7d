// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// build builds a chain that is closed at the end of the test.
func build(t testing.TB, opts dispatcher.Options, members ...dispatcher.Member) *dispatcher.Built {
	t.Helper()
	built, err := New().Build(context.Background(), members, opts)
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

// buildError returns the error of a chain that must not load.
func buildError(t testing.TB, opts dispatcher.Options, members ...dispatcher.Member) error {
	t.Helper()
	built, err := New().Build(context.Background(), members, opts)
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

// run sends one packet through a program and returns its verdict.
func run(t testing.TB, p *ebpf.Program, packet []byte) uint32 {
	t.Helper()
	verdict, err := p.Run(&ebpf.RunOptions{Data: packet})
	if err != nil {
		t.Fatalf("running %s: %v", p, err)
	}
	return verdict
}

// frame is an Ethernet frame of zeros.
func frame() []byte { return make([]byte, 64) }

// settled returns a place in the chain; members are in the order of their positions.
func settled(name, function string, position int, proceedOn chain.ActionSet) chain.Member {
	return chain.Member{Name: name, Function: function, Priority: position, ProceedOn: proceedOn}
}

// object makes a member of one program of an object in testdata, with the maps and
// variables that it refers to.
func object(t testing.TB, file, function, name string, position int) dispatcher.Member {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	p := spec.Programs[function]
	if p == nil {
		t.Fatalf("%s has no program %s", file, function)
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
	return dispatcher.Member{Member: settled(name, function, position, chain.DefaultProceedOn), Spec: spec}
}

// program makes a member of instructions, without BTF.
func program(name string, position int, proceedOn chain.ActionSet, insns ...asm.Instruction) dispatcher.Member {
	return dispatcher.Member{
		Member: settled(name, "main", position, proceedOn),
		Spec: &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{
			"main": {Name: "main", Type: ebpf.XDP, Instructions: insns, License: "GPL"},
		}},
	}
}

// returning makes a member that always returns the same.
func returning(name string, position int, value uint32) dispatcher.Member {
	return program(name, position, chain.DefaultProceedOn, asm.Mov.Imm32(asm.R0, int32(value)), asm.Return())
}

// spec returns a member's only program.
func spec(m dispatcher.Member) *ebpf.ProgramSpec { return m.Spec.Programs[m.Function] }

// strip takes BTF and line info from a member, as llvm-strip does.
func strip(m dispatcher.Member) dispatcher.Member {
	insns := spec(m).Instructions
	for i := range insns {
		insns[i] = btf.WithFuncMetadata(insns[i], nil).WithSource(nil)
	}
	return m
}
