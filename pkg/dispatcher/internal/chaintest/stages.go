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

// loopback is the index of lo in every network namespace.
const loopback = 1

// staged makes a member that redirects by the entry 0 of a map, which has the second stage.
func staged(kind ebpf.MapType, target uint32, flags uint32, stage ...asm.Instruction) dispatcher.Member {
	m := Program(
		"staged", 0, chain.DefaultProceedOn,
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
	m.Spec.Programs["stage"] = &ebpf.ProgramSpec{Name: "stage", Type: ebpf.XDP, AttachType: attach, Instructions: stage, License: "GPL", Flags: flags}
	m.Spec.Programs["main"].Flags = flags
	m.Spec.Maps = map[string]*ebpf.MapSpec{"targets": {
		Name: "targets", Type: kind, KeySize: 4, ValueSize: 8, MaxEntries: 1,
		Contents: []ebpf.MapKV{{Key: uint32(0), Value: chain.EntryProgram{Target: target, Function: "stage"}}},
	}}
	return m
}

// passing is a second stage that lets all frames go on.
func passing() []asm.Instruction {
	return []asm.Instruction{asm.Mov.Imm(asm.R0, int32(chain.Pass)), asm.Return()}
}

// secondStages are loaded for their kind of map, like the program that uses it.
func secondStages(t *testing.T, d dispatcher.Dispatcher) {
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
			built := Build(t, d, dispatcher.Options{}, staged(kind, target, flag, passing()...))
			var value struct{ Target, Program uint32 }
			if err := built.Maps["staged"]["targets"].Lookup(uint32(0), &value); err != nil {
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

// secondStagesElsewhere are in the namespace that the options say.
func secondStagesElsewhere(t *testing.T, d dispatcher.Dispatcher) {
	if d.Kind() == chain.DispatcherLibxdp {
		testenv.NeedKernel(t, since(6, 2, "extension programs that use a map with XDP programs"))
	}
	ran := false
	in := dispatcher.Options{InNetNS: func(f func() error) error { ran = true; return f() }}
	Build(t, d, in, staged(ebpf.DevMap, loopback, 0, passing()...))
	if !ran {
		t.Error("the devmap was not filled in the interface's namespace")
	}
}

func secondStageRefused(t *testing.T, d dispatcher.Dispatcher) {
	const missing = 1 << 30
	err := BuildError(t, d, dispatcher.Options{}, staged(ebpf.DevMap, missing, 0, passing()...))
	if !errors.Is(err, dispatcher.ErrMapRefused) || !strings.Contains(err.Error(), `filling map "targets" of member "staged"`) {
		t.Errorf("an interface that is not there: %v", err)
	}
	err = BuildError(t, d, dispatcher.Options{}, staged(ebpf.DevMap, loopback, 0, asm.Mov.Reg(asm.R0, asm.R9), asm.Return()))
	if !errors.Is(err, dispatcher.ErrRefused) || !strings.Contains(err.Error(), `second stage "stage"`) {
		t.Errorf("a second stage that the verifier refuses: %v", err)
	}
	other := staged(ebpf.DevMap, loopback, 0, passing()...)
	other.Spec.Programs["other"] = other.Spec.Programs["main"]
	if err := BuildError(t, d, dispatcher.Options{}, other); !errors.Is(err, chain.ErrInvalid) {
		t.Errorf("a second program that is no second stage: %v", err)
	}
	lost := staged(ebpf.DevMap, loopback, 0, passing()...)
	delete(lost.Spec.Programs, "stage")
	if err := BuildError(t, d, dispatcher.Options{}, lost); !errors.Is(err, chain.ErrInvalid) {
		t.Errorf("a second stage that is not there: %v", err)
	}
}
