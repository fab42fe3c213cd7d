// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

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
