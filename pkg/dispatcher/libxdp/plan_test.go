// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

// knownTo makes a member that is known to return no other value; unknownOf one of which
// nothing is known; theirs one that libxdp's tools put there.
func knownTo(value uint32, proceedOn ...chain.Action) dispatcher.Member {
	m := chaintest.Returning("known", 0, value)
	m.ProceedOn = chain.ActionSetOf(proceedOn...)
	return m
}

func unknownOf(proceedOn ...chain.Action) dispatcher.Member {
	return chaintest.Told("unknown", 0, chain.ActionSetOf(proceedOn...))
}

func theirs(proceedOn ...chain.Action) dispatcher.Member {
	return dispatcher.Member{Member: chaintest.Settled("theirs", "f", 0, chain.ActionSetOf(proceedOn...)), Loaded: &ebpf.Program{}}
}

// The function that a lone member replaces, and the mask of its slot.
func TestLoneMember(t *testing.T) {
	const (
		lone = ProgramName
		slot = "prog0"
	)
	for _, tt := range []struct {
		name     string
		member   dispatcher.Member
		function string
		mask     []chain.Action // without bit 31
		bit31    bool
	}{
		{"its verdict is not in proceedOn", knownTo(1, chain.Pass), lone, []chain.Action{chain.Pass}, true},
		{"passing is the same either way", knownTo(2, chain.Pass), lone, []chain.Action{chain.Pass}, true},
		{"its verdict is in proceedOn", knownTo(1, chain.Drop), slot, []chain.Action{chain.Drop}, true},
		{"its verdict is one of those in proceedOn", knownTo(3, chain.Pass, chain.TX), slot, []chain.Action{chain.Pass, chain.TX}, true},
		{"no proceedOn", knownTo(2), lone, nil, true},
		{"dispatcher_return, not in proceedOn", knownTo(31, chain.Pass), lone, []chain.Action{chain.Pass}, false},
		{"dispatcher_return, in proceedOn", knownTo(31, chain.DispatcherReturn), slot, nil, true},
		{"beyond 31", knownTo(77, chain.Aborted, chain.Drop, chain.Pass), lone, []chain.Action{chain.Aborted, chain.Drop, chain.Pass}, true},
		{"unknown, but what is in proceedOn makes no difference", unknownOf(chain.Pass), lone, []chain.Action{chain.Pass}, false},
		{"unknown, and it would make one", unknownOf(chain.Pass, chain.DispatcherReturn), slot, []chain.Action{chain.Pass}, true},
		{"unknown, no proceedOn", unknownOf(), lone, nil, false},
		{"theirs", theirs(chain.Drop, chain.Pass), lone, []chain.Action{chain.Drop, chain.Pass}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := makePlan(DefaultVersion, []dispatcher.Member{tt.member}, false)
			if p.functions[0] != tt.function {
				t.Errorf("it replaces %s, want %s", p.functions[0], tt.function)
			}
			want := chain.ActionSetOf(tt.mask...)
			if tt.bit31 {
				want |= 1 << 31
			}
			if got := p.config.Slots[0].ProceedOn; got != want {
				t.Errorf("mask %#x, want %#x", uint32(got), uint32(want))
			}
		})
	}
}

func TestPlan(t *testing.T) {
	frags := chaintest.Returning("a", 7, 1)
	chaintest.Spec(frags).Flags = unix.BPF_F_XDP_HAS_FRAGS
	fragsToo := theirs(chain.Pass)
	fragsToo.Frags = true
	p := makePlan(chain.LibxdpV3, []dispatcher.Member{frags, fragsToo, knownTo(2, chain.Drop), theirs(chain.Drop)}, true)
	want := plan{
		config: &Config{Version: chain.LibxdpV3, Frags: true, Slots: []SlotConfig{
			{Priority: 7, ProceedOn: chain.DefaultProceedOn, Frags: true},
			{ProceedOn: chain.DefaultProceedOn, Frags: true},
			{ProceedOn: 1<<31 | 1<<chain.Drop},
			{ProceedOn: 1<<31 | 1<<chain.Drop},
		}},
		functions: []string{"prog0", "prog1", "prog2", "prog3"},
	}
	if diff := cmp.Diff(want, p, cmp.AllowUnexported(plan{})); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}
