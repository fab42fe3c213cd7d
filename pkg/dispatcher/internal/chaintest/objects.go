// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// sameNames is members of one object, which share every name and nothing else.
func sameNames(t *testing.T, d dispatcher.Dispatcher) {
	built := Build(
		t, d, dispatcher.Options{},
		Globals(t, "a", 0, chain.Pass, 1), Globals(t, "b", 1, chain.TX, 100), Globals(t, "c", 2, chain.Drop, 10000),
	)
	CompareGlobals(t, built)
}

// CompareGlobals lets packets through a chain of three members made by [Globals]: a
// that passes and adds 1, b that sends back and adds 100, and c.
func CompareGlobals(t *testing.T, built *dispatcher.Built) {
	t.Helper()
	for range 3 {
		if got := Run(t, built.Program, Frame()); got != uint32(chain.TX) {
			t.Fatalf("verdict %d", got)
		}
	}
	for member, want := range map[string][2]uint64{"a": {3, 3}, "b": {300, 3}, "c": {0, 0}} {
		maps := built.Maps[member]
		if got := [2]uint64{Word(t, maps[".bss"]), Word(t, maps["seen"])}; got != want {
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
}

// oneOfSeveral is a program whose object holds another one, and no map of that.
func oneOfSeveral(t *testing.T, d dispatcher.Dispatcher) {
	one, next := Object(t, "calls.o", "tail", "tail", 0), Returning("next", 1, 77)
	next.Function = "" // the only one there is
	// A map that only another program of the object uses is passed over.
	others, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer others.Close()
	one.Maps = map[string]*ebpf.Map{".bss": others}
	built := Build(t, d, dispatcher.Options{}, one, next)
	if got := [2]string{built.Members[0].Function, built.Members[1].Function}; got != [2]string{"tail", "main"} {
		t.Errorf("functions %q", got)
	}
	if len(one.Maps) != 1 {
		t.Errorf("the member that was given was changed: maps %v", one.Maps)
	}
	if maps := built.Maps["tail"]; len(maps) != 1 || maps["jumps"] == nil {
		t.Errorf("maps %v", maps)
	}
	if got := Run(t, built.Program, Frame()); got != uint32(chain.Aborted) {
		t.Errorf("verdict %d", got)
	}
}

// callback is a member with a function that the kernel calls, and a context that the
// object does not declare as one.
func callback(t *testing.T, d dispatcher.Dispatcher) {
	testenv.NeedKernel(t, features.HaveProgramHelper(ebpf.XDP, asm.FnLoop))
	built := Build(t, d, dispatcher.Options{}, Object(t, "calls.o", "loop", "a", 0), Object(t, "calls.o", "loop", "b", 1))
	if got := Run(t, built.Program, Frame()); got != uint32(chain.Pass) {
		t.Errorf("verdict %d", got)
	}
	for member, maps := range built.Maps {
		if got := Word(t, maps[".bss"]); got != 0+1+2+3+4 {
			t.Errorf("the loop of member %s added up to %d", member, got)
		}
	}
}

// tailCall ends the member and not the chain.
func tailCall(t *testing.T, d dispatcher.Dispatcher) {
	caller := Object(t, "calls.o", "tail", "caller", 0)
	caller.ProceedOn = chain.ActionSetOf(chain.TX)
	members := []dispatcher.Member{caller, Returning("next", 1, 77)}
	built := Build(t, d, dispatcher.Options{Counters: true}, members...)
	if got := Run(t, built.Program, Frame()); got != uint32(chain.Aborted) {
		t.Errorf("with an empty array: verdict %d", got)
	}
	attachType := ebpf.AttachXDP
	if d.Kind() == chain.DispatcherLibxdp {
		testenv.NeedKernel(t, since(6, 2, "extension programs that share a program array with XDP programs"))
		// Newer kernels compare this too, and extension programs have none.
		attachType = ebpf.AttachNone
	}
	target, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, AttachType: attachType, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, int32(chain.TX)), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if err := built.Maps["caller"]["jumps"].Put(uint32(0), target); err != nil {
		t.Fatal(err)
	}
	if got := Run(t, built.Program, Frame()); got != 77 {
		t.Errorf("with a program that returns tx, in proceedOn: verdict %d", got)
	}
	if built.Counters != nil {
		m := newModel(members)
		m.decide([]uint32{uint32(chain.Aborted)})
		m.decide([]uint32{uint32(chain.TX), 77})
		m.compareCounts(t, built)
	}
}

// since returns nil on a kernel of at least this version, for what is not told by a
// probe that is simpler than the test.
func since(major, minor uint32, feature string) error {
	version, err := features.LinuxVersionCode()
	if err != nil {
		return err
	}
	if version < major<<16|minor<<8 {
		return fmt.Errorf("%w: %s, before Linux %d.%d", ebpf.ErrNotSupported, feature, major, minor)
	}
	return nil
}

// frags is on a veth of large MTU, where the kernel takes frags programs alone.
func frags(t *testing.T, d dispatcher.Dispatcher) {
	testenv.NeedKernel(t, testenv.HaveFrags())
	testenv.Veth(t, testenv.NewNetNS(t), "pod0", "large0", 9000)
	large, err := net.InterfaceByName("large0")
	if err != nil {
		t.Fatal(err)
	}
	member := func(name string, position int, flags uint32) dispatcher.Member {
		m := Returning(name, position, 2)
		Spec(m).Flags = flags
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
			built := Build(t, d, dispatcher.Options{}, member("a", 0, tt.a), member("b", 1, tt.b))
			if built.Frags != tt.want {
				t.Errorf("Frags is %t", built.Frags)
			}
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

func kernelVersion(t *testing.T, d dispatcher.Dispatcher) {
	built := Build(t, d, dispatcher.Options{}, Returning("a", 0, 2), Object(t, "kernel.o", "kconfig", "b", 1))
	if got := Run(t, built.Program, Frame()); got != uint32(chain.TX) {
		t.Errorf("verdict %d", got)
	}
}

func coRE(t *testing.T, d dispatcher.Dispatcher) {
	built := Build(t, d, dispatcher.Options{}, Returning("a", 0, 2), Object(t, "kernel.o", "core", "b", 1))
	if got := Run(t, built.Program, Frame()); got != uint32(chain.TX) {
		t.Errorf("verdict %d", got)
	}
}

// membersUnchanged: Build leaves its arguments as they were.
func membersUnchanged(t *testing.T, d dispatcher.Dispatcher) {
	members := []dispatcher.Member{Globals(t, "b", 1, chain.Pass, 1), Globals(t, "a", 0, chain.Pass, 1)}
	before := slices.Clone(Spec(members[0]).Instructions)
	for range 2 {
		Build(t, d, dispatcher.Options{}, members...)
	}
	if members[0].Name != "b" {
		t.Error("the members were sorted in place")
	}
	if members[0].Spec.Maps["seen"].Pinning != ebpf.PinByName {
		t.Error("the map's pinning was changed")
	}
	if !slices.Equal(before, Spec(members[0]).Instructions) || Spec(members[0]).Type != ebpf.XDP {
		t.Error("the program was changed")
	}
}

// nothingIsLeft of chains that were closed and of one that did not load.
func nothingIsLeft(t *testing.T, d dispatcher.Dispatcher) {
	testenv.NoLeaks(t)
	built, err := d.Build(context.Background(), []dispatcher.Member{Globals(t, "a", 0, chain.Pass, 1), Returning("b", 1, 2)}, dispatcher.Options{Counters: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := built.Close(); err != nil {
			t.Error(err)
		}
	}
	BuildError(t, d, dispatcher.Options{}, Globals(t, "a", 0, chain.Pass, 1), Object(t, "refused.o", "refused", "b", 1))
}
