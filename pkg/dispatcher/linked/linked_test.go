// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"

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
