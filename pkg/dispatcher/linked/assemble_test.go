// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// globals makes a member of globals.o.
func globals(t testing.TB, name string, position int, verdict chain.Action, step uint32) dispatcher.Member {
	t.Helper()
	m := object(t, "globals.o", "globals", name, position)
	for variable, value := range map[string]uint32{"verdict": uint32(verdict), "step": step} {
		if err := m.Spec.Variables[variable].Set(value); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// word reads the first 8 bytes of entry 0 of an array.
func word(t testing.TB, m *ebpf.Map) uint64 {
	t.Helper()
	value, err := m.LookupBytes(uint32(0))
	if err != nil {
		t.Fatalf("reading %s: %v", m, err)
	}
	return binary.NativeEndian.Uint64(value)
}

// Two members of one object, and the same two as an object without BTF, share every
// name and nothing else.
func TestSameNames(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(dispatcher.Member) dispatcher.Member
	}{
		{"with BTF", func(m dispatcher.Member) dispatcher.Member { return m }},
		{"without BTF", strip},
	} {
		t.Run(tt.name, func(t *testing.T) {
			built := build(
				t, dispatcher.Options{},
				tt.make(globals(t, "a", 0, chain.Pass, 1)),
				tt.make(globals(t, "b", 1, chain.TX, 100)),
				tt.make(globals(t, "c", 2, chain.Drop, 10000)),
			)
			for range 3 {
				if got := run(t, built.Program, frame()); got != uint32(chain.TX) {
					t.Fatalf("verdict %d", got)
				}
			}
			for member, want := range map[string][2]uint64{"a": {3, 3}, "b": {300, 3}, "c": {0, 0}} {
				maps := built.Maps[member]
				if got := [2]uint64{word(t, maps[".bss"]), word(t, maps["seen"])}; got != want {
					t.Errorf("member %s: sum and seen are %v, want %v", member, got, want)
				}
				info, err := maps["seen"].Info()
				if err != nil {
					t.Fatal(err)
				}
				if info.Name != "seen" {
					t.Errorf("member %s: the kernel's name of the map is %q", member, info.Name)
				}
			}
		})
	}
}

// A mixture of functions with and without BTF and line info.
func TestSomeWithoutBTF(t *testing.T) {
	lineless := globals(t, "lineless", 2, chain.Pass, 1)
	for i, ins := range spec(lineless).Instructions {
		spec(lineless).Instructions[i] = ins.WithSource(nil)
	}
	built := build(
		t, dispatcher.Options{Counters: true},
		globals(t, "whole", 0, chain.Pass, 1), strip(globals(t, "bare", 1, chain.Pass, 1)), lineless, returning("asm", 3, 7),
	)
	if got := run(t, built.Program, frame()); got != 7 {
		t.Errorf("verdict %d", got)
	}
}

func TestProgramInKernel(t *testing.T) {
	built := build(t, dispatcher.Options{}, globals(t, "flow-stats", 0, chain.Pass, 1), returning("4ever", 1, 1))
	info, err := built.Program.Info()
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != ProgramName || info.Type != ebpf.XDP {
		t.Errorf("name %q, type %s", info.Name, info.Type)
	}
	functions, err := info.FuncInfos()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]btf.FuncLinkage)
	for _, f := range functions {
		got[f.Func.Name] = f.Func.Linkage
	}
	want := map[string]btf.FuncLinkage{
		"xdp_chain":           btf.GlobalFunc,
		"flow_stats__globals": btf.GlobalFunc,
		"add":                 btf.StaticFunc,
		"touch":               btf.GlobalFunc,
		"_4ever__main":        btf.GlobalFunc,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("functions (-want +got):\n%s", diff)
	}
}

// A callback, and a context that the object does not declare as one.
func TestCallback(t *testing.T) {
	built := build(t, dispatcher.Options{}, object(t, "calls.o", "loop", "a", 0), object(t, "calls.o", "loop", "b", 1))
	if got := run(t, built.Program, frame()); got != uint32(chain.Pass) {
		t.Errorf("verdict %d", got)
	}
	for member, maps := range built.Maps {
		if got := word(t, maps[".bss"]); got != 0+1+2+3+4 {
			t.Errorf("the loop of member %s added up to %d", member, got)
		}
	}
}

// A tail call ends the member and not the chain.
func TestTailCall(t *testing.T) {
	caller := object(t, "calls.o", "tail", "caller", 0)
	caller.ProceedOn = chain.ActionSetOf(chain.TX)
	built := build(t, dispatcher.Options{Counters: true}, caller, returning("next", 1, 77))
	if got := run(t, built.Program, frame()); got != uint32(chain.Aborted) {
		t.Errorf("with an empty array: verdict %d", got)
	}
	target, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, int32(chain.TX)), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if err := built.Maps["caller"]["jumps"].Put(uint32(0), target); err != nil {
		t.Fatal(err)
	}
	if got := run(t, built.Program, frame()); got != 77 {
		t.Errorf("with a program that returns tx, in proceedOn: verdict %d", got)
	}
	counts, err := dispatcher.ReadCounters(built.Counters, []string{"caller", "next"})
	if err != nil {
		t.Fatal(err)
	}
	want := []chain.Count{
		{Member: "caller", Verdict: chain.VerdictAborted, Packets: 1},
		{Member: "next", Verdict: chain.VerdictInvalid, Packets: 1},
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

func TestFrags(t *testing.T) {
	testenv.Veth(t, testenv.NewNetNS(t), "pod0", "large0", 9000)
	large, err := net.InterfaceByName("large0")
	if err != nil {
		t.Fatal(err)
	}
	member := func(name string, position int, flags uint32) dispatcher.Member {
		m := returning(name, position, 2)
		spec(m).Flags = flags
		return m
	}
	for _, tt := range []struct {
		name string
		a, b uint32
		want bool
	}{
		{"none", 0, 0, false},
		{"one", unix.BPF_F_XDP_HAS_FRAGS, 0, false},
		{"all", unix.BPF_F_XDP_HAS_FRAGS, unix.BPF_F_XDP_HAS_FRAGS, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			built := build(t, dispatcher.Options{}, member("a", 0, tt.a), member("b", 1, tt.b))
			if built.Frags != tt.want {
				t.Errorf("Frags is %t", built.Frags)
			}
			// On a veth of large MTU the kernel takes frags programs alone.
			l, err := link.AttachXDP(link.XDPOptions{Program: built.Program, Interface: large.Index, Flags: link.XDPDriverMode})
			if err == nil {
				l.Close()
			}
			if tt.want != (err == nil) {
				t.Errorf("attaching at MTU 9000: %v", err)
			}
		})
	}
}

func TestKernelVersion(t *testing.T) {
	kconfig := func(name string, position int) dispatcher.Member {
		return object(t, "kernel.o", "kconfig", name, position)
	}
	built := build(t, dispatcher.Options{}, returning("a", 0, 2), kconfig("b", 1))
	if got := run(t, built.Program, frame()); got != uint32(chain.TX) {
		t.Errorf("verdict %d", got)
	}
	err := buildError(t, dispatcher.Options{}, kconfig("one", 0), returning("a", 1, 2), kconfig("two", 2))
	if !errors.Is(err, dispatcher.ErrNotLinkable) || !strings.Contains(err.Error(), "one, two") {
		t.Errorf("two members with .kconfig: %v", err)
	}
}

func TestCORE(t *testing.T) {
	built := build(t, dispatcher.Options{}, returning("a", 0, 2), object(t, "kernel.o", "core", "b", 1))
	if got := run(t, built.Program, frame()); got != uint32(chain.TX) {
		t.Errorf("verdict %d", got)
	}
}

// Build leaves its arguments as they were.
func TestMembersUnchanged(t *testing.T) {
	members := []dispatcher.Member{globals(t, "b", 1, chain.Pass, 1), globals(t, "a", 0, chain.Pass, 1)}
	before := slices.Clone(spec(members[0]).Instructions)
	for range 2 {
		build(t, dispatcher.Options{}, members...)
	}
	if members[0].Name != "b" {
		t.Error("the members were sorted in place")
	}
	if members[0].Spec.Maps["seen"].Pinning != ebpf.PinByName {
		t.Error("the map's pinning was changed")
	}
	if !slices.Equal(before, spec(members[0]).Instructions) {
		t.Error("the instructions were changed")
	}
}
