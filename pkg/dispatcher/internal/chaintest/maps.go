// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// givenMaps is a member that stays over a swap and goes on where it was, with every
// map it had.
func givenMaps(t *testing.T, d dispatcher.Dispatcher) {
	first := Build(t, d, dispatcher.Options{}, Globals(t, "kept", 0, chain.TX, 5))
	Run(t, first.Program, Frame())

	// Its object says otherwise now, but the maps it is given are what counts.
	kept := Globals(t, "kept", 0, chain.Drop, 7)
	kept.Maps = first.Maps["kept"]
	second := Build(t, d, dispatcher.Options{Counters: true}, kept, Globals(t, "new", 1, chain.Drop, 1))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got := Run(t, second.Program, Frame()); got != uint32(chain.TX) {
		t.Errorf("the constant of the frozen section that was given is not used: verdict %d", got)
	}
	for member, want := range map[string][2]uint64{"kept": {10, 2}, "new": {0, 0}} {
		maps := second.Maps[member]
		if got := [2]uint64{Word(t, maps[".bss"]), Word(t, maps["seen"])}; got != want {
			t.Errorf("member %s: sum and seen are %v, want %v", member, got, want)
		}
	}
}

func wrongMapGiven(t *testing.T, d dispatcher.Dispatcher) {
	wrong, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.Close()
	for _, tt := range []struct {
		mapName string
		want    error
	}{
		{"seen", ebpf.ErrMapIncompatible},
		{"other", chain.ErrInvalid},
	} {
		m := Globals(t, "wronged", 0, chain.Pass, 1)
		m.Maps = map[string]*ebpf.Map{tt.mapName: wrong}
		err := BuildError(t, d, dispatcher.Options{}, m)
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), `"wronged"`) || !strings.Contains(err.Error(), tt.mapName) {
			t.Errorf("map given as %s: %v", tt.mapName, err)
		}
	}
}

// mapRefused is maps that the kernel does not make: the object's fault, and said of
// the member.
func mapRefused(t *testing.T, d dispatcher.Dispatcher) {
	for name, spec := range map[string]*ebpf.MapSpec{
		"ring of a thousand bytes":           {Type: ebpf.RingBuf, MaxEntries: 1000},
		"values larger than per-CPU memory":  {Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8 << 20, MaxEntries: 1},
		"prefixes longer than the kernel's":  {Type: ebpf.LPMTrie, KeySize: 4 + 300, ValueSize: 4, MaxEntries: 1, Flags: unix.BPF_F_NO_PREALLOC},
		"flags that the type does not allow": {Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1, Flags: unix.BPF_F_NO_PREALLOC},
	} {
		m := Globals(t, "mine", 0, chain.Pass, 1)
		spec.Name = "seen"
		m.Spec.Maps["seen"] = spec
		err := BuildError(t, d, dispatcher.Options{}, m)
		if !errors.Is(err, dispatcher.ErrMapRefused) || !strings.Contains(err.Error(), `"mine"`) || !strings.Contains(err.Error(), "seen") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func mapInMap(t *testing.T, d dispatcher.Dispatcher) {
	m := Returning("a", 0, 2)
	inner := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Contents: []ebpf.MapKV{{Key: uint32(0), Value: uint64(9)}}}
	m.Spec.Maps = map[string]*ebpf.MapSpec{
		"inner": inner,
		"outer": {Type: ebpf.ArrayOfMaps, KeySize: 4, MaxEntries: 1, InnerMap: inner, Contents: []ebpf.MapKV{{Key: uint32(0), Value: "inner"}}},
	}
	built := Build(t, d, dispatcher.Options{}, m)
	var got *ebpf.Map
	if err := built.Maps["a"]["outer"].Lookup(uint32(0), &got); err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if Word(t, got) != 9 {
		t.Errorf("the inner map holds %d", Word(t, got))
	}
}

// loopback is the index of lo in every network namespace.
const loopback = 1

// redirecting makes a member that redirects by entry 0 of a map, which has an entry
// program of the given instructions.
func redirecting(kind ebpf.MapType, target uint32, flags uint32, program ...asm.Instruction) dispatcher.Member {
	m := Program(
		"redirecting", 0, chain.DefaultProceedOn,
		asm.LoadMapPtr(asm.R1, 0).WithReference("targets"),
		asm.Mov.Imm(asm.R2, 0),
		asm.Mov.Imm(asm.R3, int32(chain.Aborted)),
		asm.FnRedirectMap.Call(),
		asm.Return(),
	)
	attach := ebpf.AttachXDPDevMap
	if kind == ebpf.CPUMap {
		attach = ebpf.AttachXDPCPUMap
	}
	m.Spec.Programs["stage"] = &ebpf.ProgramSpec{Name: "stage", Type: ebpf.XDP, AttachType: attach, Instructions: program, License: "GPL", Flags: flags}
	m.Spec.Programs["main"].Flags = flags
	m.Spec.Maps = map[string]*ebpf.MapSpec{"targets": {
		Name: "targets", Type: kind, KeySize: 4, ValueSize: 8, MaxEntries: 1,
		Contents: []ebpf.MapKV{{Key: uint32(0), Value: chain.EntryProgram{Target: target, Function: "stage"}}},
	}}
	return m
}

// passing is an entry program that lets all frames go on.
func passing() []asm.Instruction {
	return []asm.Instruction{asm.Mov.Imm(asm.R0, int32(chain.Pass)), asm.Return()}
}

// entryPrograms are loaded for their kind of map, like the program that uses it.
func entryPrograms(t *testing.T, d dispatcher.Dispatcher) {
	if d.Kind() == chain.DispatcherLibxdp {
		testenv.NeedKernel(t, since(6, 2, "extension programs that use a map with XDP programs"))
	}
	kinds := map[ebpf.MapType]uint32{ebpf.DevMap: loopback, ebpf.DevMapHash: loopback, ebpf.CPUMap: 192}
	flags := []uint32{0}
	if testenv.HaveFrags() == nil {
		flags = append(flags, unix.BPF_F_XDP_HAS_FRAGS)
	}
	for kind, target := range kinds {
		for _, flag := range flags {
			built := Build(t, d, dispatcher.Options{}, redirecting(kind, target, flag, passing()...))
			var value struct{ Target, Program uint32 }
			if err := built.Maps["redirecting"]["targets"].Lookup(uint32(0), &value); err != nil {
				t.Fatal(err)
			}
			if value.Target != target || value.Program == 0 {
				t.Errorf("%s, flags %#x: the entry is %+v", kind, flag, value)
			}
			if built.Frags != (flag != 0) {
				t.Errorf("%s, flags %#x: Frags is %t", kind, flag, built.Frags)
			}
			if got := Run(t, built.Program, Frame()); got != uint32(chain.Redirect) {
				t.Errorf("%s, flags %#x: verdict %d", kind, flag, got)
			}
		}
	}
}

// entryProgramsElsewhere are in the namespace that the options say.
func entryProgramsElsewhere(t *testing.T, d dispatcher.Dispatcher) {
	if d.Kind() == chain.DispatcherLibxdp {
		testenv.NeedKernel(t, since(6, 2, "extension programs that use a map with XDP programs"))
	}
	ran := false
	in := dispatcher.Options{InNetNS: func(f func() error) error { ran = true; return f() }}
	Build(t, d, in, redirecting(ebpf.DevMap, loopback, 0, passing()...))
	if !ran {
		t.Error("the devmap was not filled in the interface's namespace")
	}
}

func entryProgramRefused(t *testing.T, d dispatcher.Dispatcher) {
	const missing = 1 << 30
	err := BuildError(t, d, dispatcher.Options{}, redirecting(ebpf.DevMap, missing, 0, passing()...))
	if !errors.Is(err, dispatcher.ErrMapRefused) || !strings.Contains(err.Error(), `filling map "targets" of member "redirecting"`) {
		t.Errorf("an interface that is not there: %v", err)
	}
	err = BuildError(t, d, dispatcher.Options{}, redirecting(ebpf.DevMap, loopback, 0, asm.Mov.Reg(asm.R0, asm.R9), asm.Return()))
	if !errors.Is(err, dispatcher.ErrRefused) || !strings.Contains(err.Error(), `second stage "stage"`) {
		t.Errorf("an entry program that the verifier refuses: %v", err)
	}
	lost := redirecting(ebpf.DevMap, loopback, 0, passing()...)
	delete(lost.Spec.Programs, "stage")
	if err := BuildError(t, d, dispatcher.Options{}, lost); !errors.Is(err, chain.ErrInvalid) {
		t.Errorf("an entry program that is not there: %v", err)
	}
}
