// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestMeaning(t *testing.T) { chaintest.Test(t, New()) }

// build builds a chain that is closed at the end of the test.
func build(t testing.TB, opts dispatcher.Options, members ...dispatcher.Member) *dispatcher.Built {
	t.Helper()
	return chaintest.Build(t, New(), opts, members...)
}

// buildError returns the error of a chain that must not load.
func buildError(t testing.TB, opts dispatcher.Options, members ...dispatcher.Member) error {
	t.Helper()
	return chaintest.BuildError(t, New(), opts, members...)
}

// deep makes a member with a stack frame of so many bytes.
func deep(name string, bytes int16) dispatcher.Member {
	return chaintest.Program(name, 0, chain.DefaultProceedOn, asm.StoreImm(asm.RFP, -bytes, 0, asm.Word), asm.Mov.Imm(asm.R0, 2), asm.Return())
}

func TestStack(t *testing.T) {
	build(t, dispatcher.Options{Counters: true}, deep("a", 480), deep("b", 480))
	// A dispatcher without counters has no frame; kernels that round it up to 32 bytes
	// all the same leave the members 480.
	built, err := New().Build(t.Context(), []dispatcher.Member{deep("a", 512), deep("b", 512)}, dispatcher.Options{})
	if err != nil && !errors.Is(err, dispatcher.ErrStackTooDeep) {
		t.Error(err)
	}
	built.Close()

	err = buildError(t, dispatcher.Options{Counters: true}, deep("a", 32), deep("b", 512))
	if !errors.Is(err, dispatcher.ErrStackTooDeep) || !errors.Is(err, dispatcher.ErrNotLinkable) ||
		!strings.Contains(err.Error(), `"b"`) || !strings.Contains(err.Error(), "per-CPU array") {
		t.Errorf("512 bytes behind the dispatcher's frame: %v", err)
	}
	err = buildError(t, dispatcher.Options{Counters: true}, deep("a", 32), deep("b", 520))
	if errors.Is(err, dispatcher.ErrNotLinkable) || !errors.Is(err, dispatcher.ErrRefused) {
		t.Errorf("a frame that no program may have: %v", err)
	}
}

// Members that are too much only together: a program can have 256 functions.
func TestTogether(t *testing.T) {
	var members []dispatcher.Member
	for i := range MaxMembers {
		insns := asm.Instructions{asm.Call.Label("f0"), asm.Mov.Imm(asm.R0, 2), asm.Return()}
		for f := range 4 {
			name := fmt.Sprint("f", f)
			insns = append(insns, asm.Mov.Imm(asm.R0, 0).WithSymbol(name))
			if f < 3 {
				insns = append(insns, asm.Call.Label(fmt.Sprint("f", f+1)))
			}
			insns = append(insns, asm.Return())
		}
		members = append(members, chaintest.Program(fmt.Sprint("m", i), i, chain.DefaultProceedOn, insns...))
	}
	build(t, dispatcher.Options{}, members[:51]...)
	err := buildError(t, dispatcher.Options{}, members[:52]...)
	if !errors.Is(err, dispatcher.ErrNotLinkable) || errors.Is(err, dispatcher.ErrRefused) || !strings.Contains(err.Error(), "too many subprograms") {
		t.Errorf("got %v", err)
	}
}

func TestMemberRefused(t *testing.T) {
	flags := chaintest.Returning("a", 0, 2)
	chaintest.Spec(flags).Flags = unix.BPF_F_STRICT_ALIGNMENT
	filled := chaintest.Object(t, "calls.o", "tail", "a", 0)
	filled.Spec.Maps["jumps"].Contents = []ebpf.MapKV{{Key: uint32(0), Value: "loop"}}
	for _, tt := range []struct {
		name   string
		member dispatcher.Member
		want   error
		says   string
	}{
		{"flags", flags, dispatcher.ErrNotLinkable, "0x1"},
		// Which no dispatcher takes, so that there is no use in trying another.
		{"tail calls within the object", filled, dispatcher.ErrProgramArray, `"loop"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := buildError(t, dispatcher.Options{}, tt.member)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v that says %s", err, tt.want, tt.says)
			}
		})
	}
}

// What libxdp's tools loaded is a program of its own for good.
func TestMemberOfOthers(t *testing.T) {
	err := buildError(t, dispatcher.Options{}, dispatcher.Member{Member: chaintest.Settled("theirs", "f", 0, 0), Loaded: &ebpf.Program{}})
	if !errors.Is(err, chain.ErrInvalid) || !strings.Contains(err.Error(), `"theirs"`) {
		t.Errorf("got %v", err)
	}
}

func TestLicenses(t *testing.T) {
	licensed := func(name, license string) dispatcher.Member {
		m := chaintest.Returning(name, 0, 2)
		chaintest.Spec(m).License = license
		return m
	}
	build(t, dispatcher.Options{}, licensed("a", "GPL"), licensed("b", "Dual MIT/GPL"), licensed("c", "GPL and additional rights"))
	build(t, dispatcher.Options{}, licensed("a", "Proprietary"), licensed("b", ""), licensed("c", "gpl"))

	err := buildError(t, dispatcher.Options{}, licensed("a", "GPL v2"), licensed("b", "Apache-2.0"), licensed("c", "Dual BSD/GPL"))
	if !errors.Is(err, dispatcher.ErrMixedLicenses) || !errors.Is(err, dispatcher.ErrNotLinkable) {
		t.Errorf("got %v", err)
	}
	for _, says := range []string{`compatible with the GPL: a ("GPL v2"), c ("Dual BSD/GPL");`, `not compatible: b ("Apache-2.0")`, "all or none"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("the error does not say %s: %v", says, err)
		}
	}
}

// A chain of one licence has the helpers that the licence allows its members.
func TestLicenseOfChain(t *testing.T) {
	tracing := func(license string) dispatcher.Member {
		m := chaintest.Program("a", 0, 0, asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, -8), asm.StoreImm(asm.R1, 0, 0, asm.Word),
			asm.Mov.Imm(asm.R2, 4), asm.FnTracePrintk.Call(), asm.Mov.Imm(asm.R0, 2), asm.Return())
		chaintest.Spec(m).License = license
		return m
	}
	build(t, dispatcher.Options{}, tracing("Dual MPL/GPL"))
	var refused *dispatcher.RefusedError
	if err := buildError(t, dispatcher.Options{}, tracing("MIT")); !errors.As(err, &refused) {
		t.Errorf("a helper for GPL programs alone: %v", err)
	}
}

// 64 members with a map each fill a program; the counters are one too many, unless
// members share a map.
func TestMapLimit(t *testing.T) {
	members := chaintest.Counting(t, MaxMembers)
	built := build(t, dispatcher.Options{}, members...)
	if got := chaintest.Run(t, built.Program, chaintest.Frame()); got != uint32(chain.Pass) {
		t.Errorf("verdict %d", got)
	}

	err := buildError(t, dispatcher.Options{Counters: true}, members...)
	if !errors.Is(err, dispatcher.ErrTooManyMaps) || !errors.Is(err, dispatcher.ErrNotLinkable) {
		t.Errorf("65 maps: %v", err)
	}
	for _, word := range []string{"use 65", "count-17 1", "counters 1"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}

	shared := built.Maps["count-0"]["packets"]
	for i := range 2 {
		members[i].Maps = map[string]*ebpf.Map{"packets": shared}
	}
	both := build(t, dispatcher.Options{Counters: true}, members...)
	chaintest.Run(t, both.Program, chaintest.Frame())
	var perCPU []uint64
	if err := shared.Lookup(uint32(0), &perCPU); err != nil {
		t.Fatal(err)
	}
	var sum uint64
	for _, n := range perCPU {
		sum += n
	}
	if sum != 1+2 {
		t.Errorf("the shared map counts %d", sum)
	}
}
