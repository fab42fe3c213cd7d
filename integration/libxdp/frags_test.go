// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// jumbo is an MTU whose frames take several buffers.
const jumbo = 5000

// fragging is a member of the plugin's that takes frames of several buffers.
func fragging(t *testing.T, function string) fields {
	t.Helper()
	return fields{"name": function[len(function)-1:], "object": object(t, "frags.o"), "function": function}
}

func wiredForFrags(t *testing.T, mtu int) *plugintest.Pod {
	t.Helper()
	p := wired(t, mtu)
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, Flags: unix.BPF_F_XDP_HAS_FRAGS, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, pass), asm.Return()},
	})
	if errors.Is(err, unix.EINVAL) { // before 5.18 it knows no such flag
		err = fmt.Errorf("XDP frags: %w", ebpf.ErrNotSupported)
	}
	testenv.NeedKernel(t, err)
	program.Close()
	return p
}

// wantFrags reads from the dispatcher's config whether it takes such frames, and
// which of its members do: bytes 3 and 84 on of the second form.
func wantFrags(t *testing.T, p *plugintest.Pod, all bool, members ...bool) {
	t.Helper()
	config := dispatcherConfig(t, p)
	if got := config[3] != 0; got != all {
		t.Errorf("the dispatcher takes frags: %t, want %t", got, all)
	}
	for i, want := range members {
		if got := config[84+4*i] == unix.BPF_F_XDP_HAS_FRAGS; got != want {
			t.Errorf("member %d takes frags: %t, want %t", i, got, want)
		}
	}
}

// With a small MTU members of both kinds mix, and the dispatcher takes frags as long as
// all of them do, whoever changes it.
func TestFragsWithSmallMTU(t *testing.T) {
	p := wiredForFrags(t, 1500)
	one := p.Chained(inLibxdp, fragging(t, "frags_a"))
	p.Must(t, "ADD", one)
	wantFrags(t, p, true, true)
	two := second(p, nil, fragging(t, "frags_b"))
	p.Must(t, "ADD", two)
	wantFrags(t, p, true, true, true)
	x := chainTools(t, p)
	x.load(t, "a", 90)
	wantFrags(t, p, false, true, true, false)
	x.unload(t, "mark_a")
	wantFrags(t, p, true, true, true)
	third := second(p, nil, marking(t, "c", 90))
	third["name"] = "thirdnet"
	p.Must(t, "ADD", third)
	wantFrags(t, p, false, true, true, false)
	p.Must(t, "DEL", third)
	wantFrags(t, p, true, true, true)
	p.Must(t, "DEL", one)
	p.Must(t, "DEL", two)
}

// With a large MTU a member that does not take frags is refused, whoever brings it, and
// the chain goes on. (xdp-loader 1.3.1 brings no other: it looks for the flag before
// libbpf sets it.)
func TestFragsWithLargeMTU(t *testing.T) {
	p := wiredForFrags(t, jumbo)
	one := p.Chained(inLibxdp, fragging(t, "frags_a"))
	p.Must(t, "ADD", one)
	x := chainTools(t, p)
	on := p.XDP(t)
	x.refuse(t, "xdp-loader", "load", x.ifname, "testdata/mark.o", "-n", "mark_a")
	p.Refuse(t, "ADD", second(p, nil, marking(t, "c", 90)), 101, "MTU", fmt.Sprint(jumbo), "frags")
	if now := p.XDP(t); now != on {
		t.Errorf("%+v became %+v", on, now)
	}
	wantMembers(t, x, "frags_a")
	two := second(p, nil, fragging(t, "frags_b"))
	p.Must(t, "ADD", two)
	wantMembers(t, x, "frags_a", "frags_b")
	wantFrags(t, p, true, true, true)
	p.Must(t, "CHECK", one)
	p.Must(t, "DEL", one)
	wantMembers(t, x, "frags_b")
	p.Must(t, "DEL", two)
}

// Alone, such a member gets generic mode under mode auto, as in a linked chain.
func TestNoFragsWithLargeMTU(t *testing.T) {
	p := wiredForFrags(t, jumbo)
	p.Refuse(t, "ADD", p.Chained(fields{"dispatcher": "libxdp", "mode": "native"}, marking(t, "a", 10)), 101, "MTU", "frags")
	conf := p.Chained(inLibxdp, marking(t, "a", 10), marking(t, "c", 30))
	p.Must(t, "ADD", conf)
	if s := chainTools(t, p).status(t); s.mode != "skb" {
		t.Errorf("xdp-loader shows mode %q, want skb", s.mode)
	}
	wantTrace(t, p, nil, "ac")
	chainTools(t, p).run(t, "xdp-loader", "load", p.Ifname, "testdata/mark.o", "-n", "mark_b", "-P", "20", "-m", "skb")
	wantTrace(t, p, nil, "abc")
	p.Must(t, "CHECK", conf)
	p.Must(t, "DEL", conf)
	wantTrace(t, p, nil, "b")
	vanish(t, p)
}
