// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

func TestBadMembers(t *testing.T) {
	var many []dispatcher.Member
	for i := range MaxMembers + 1 {
		many = append(many, returning(fmt.Sprintf("m%d", i), i, 2))
	}
	changed := func(change func(*ebpf.ProgramSpec)) []dispatcher.Member {
		m := returning("a", 0, 2)
		change(spec(m))
		return []dispatcher.Member{m}
	}
	two := returning("a", 0, 2)
	two.Spec.Programs["other"] = spec(two)
	filled := object(t, "calls.o", "tail", "a", 0)
	filled.Spec.Maps["jumps"].Contents = []ebpf.MapKV{{Key: uint32(0), Value: "loop"}}
	for _, tt := range []struct {
		name    string
		members []dispatcher.Member
		want    error
		says    string
	}{
		{"65 members", many, chain.ErrTooManyMembers, "65"},
		{"no members", nil, chain.ErrInvalid, "at least one"},
		{"one name twice", []dispatcher.Member{returning("a", 0, 2), returning("a", 1, 2)}, chain.ErrInvalid, `"a"`},
		{"two programs", []dispatcher.Member{two}, chain.ErrInvalid, `"main"`},
		{"no spec", []dispatcher.Member{{Member: settled("a", "main", 0, 0)}}, chain.ErrInvalid, `"main"`},
		{"not XDP", changed(func(p *ebpf.ProgramSpec) { p.Type = ebpf.SchedCLS }), chain.ErrInvalid, "SchedCLS"},
		{"for a devmap", changed(func(p *ebpf.ProgramSpec) { p.AttachType = ebpf.AttachXDPDevMap }), chain.ErrInvalid, "XDPDevMap"},
		{"no instructions", changed(func(p *ebpf.ProgramSpec) { p.Instructions = asm.Instructions{} }), chain.ErrInvalid, "instructions"},
		{"flags", changed(func(p *ebpf.ProgramSpec) { p.Flags = unix.BPF_F_STRICT_ALIGNMENT }), dispatcher.ErrNotLinkable, "0x1"},
		{"tail calls within the object", []dispatcher.Member{filled}, dispatcher.ErrNotLinkable, `"loop"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := buildError(t, dispatcher.Options{}, tt.members...)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v that says %s", err, tt.want, tt.says)
			}
		})
	}
}

func TestLicenses(t *testing.T) {
	licensed := func(name, license string) dispatcher.Member {
		m := returning(name, 0, 2)
		spec(m).License = license
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
		m := program("a", 0, 0, asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, -8), asm.StoreImm(asm.R1, 0, 0, asm.Word),
			asm.Mov.Imm(asm.R2, 4), asm.FnTracePrintk.Call(), asm.Mov.Imm(asm.R0, 2), asm.Return())
		spec(m).License = license
		return m
	}
	build(t, dispatcher.Options{}, tracing("Dual MPL/GPL"))
	var refused *dispatcher.RefusedError
	if err := buildError(t, dispatcher.Options{}, tracing("MIT")); !errors.As(err, &refused) {
		t.Errorf("a helper for GPL programs alone: %v", err)
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := New().Build(ctx, []dispatcher.Member{returning("a", 0, 2)}, dispatcher.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
