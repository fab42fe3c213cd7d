// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"slices"
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

// Each rank comes before the next one, by the first thing in which they differ.
func TestCompare(t *testing.T) {
	ranks := []rank{
		{priority: 0, function: "z", tag: "ff", loadTime: 9},
		{priority: 10, function: "A", instructions: 90},
		{priority: 10, function: "_", instructions: 80},
		{priority: 10, function: "a", loaded: true, tag: "00ff", loadTime: 7},
		{priority: 10, function: "a", loaded: true, tag: "0100", loadTime: 5},
		{priority: 10, function: "a", loaded: true, tag: "0100", loadTime: 6},
		{priority: 10, function: "a", instructions: 2},
		{priority: 10, function: "a", instructions: 10},
		{priority: 10, function: "a2"},
		{priority: 9999, function: "a"},
	}
	for i, a := range ranks {
		for j, b := range ranks {
			if got, want := compare(a, b), min(1, max(-1, i-j)); got != want {
				t.Errorf("comparing %+v with %+v: %d, want %d", a, b, got, want)
			}
		}
	}
}

// Members of ours stand by their names, until one of others is among them: then all
// stand by the names of their functions, which are the other way round here.
func TestOrder(t *testing.T) {
	own := func(name, function string, priority int) dispatcher.Member {
		m := chaintest.Returning(name, priority, 2)
		m.Function = function
		p := m.Spec.Programs["main"]
		p.Name = function
		delete(m.Spec.Programs, "main")
		m.Spec.Programs[function] = p
		return m
	}
	their := dispatcher.Member{Member: chaintest.Settled("the-long-name-of-theirs", "", 5, 0), Loaded: using(t, "the_long_name_of_theirs", true)}
	loaded := own("loaded", "the_long_name_of_ours", 5)
	loaded.Loaded = using(t, "the_long_name_of_ours", true)
	for _, tt := range []struct {
		members []dispatcher.Member
		want    []string
	}{
		{
			[]dispatcher.Member{own("c", "1", 7), own("b", "2", 5), own("a", "3", 5)},
			[]string{"a", "b", "c"},
		},
		{
			[]dispatcher.Member{their, own("c", "1", 7), own("b", "2", 5), own("a", "3", 5), own("z", "z", 5), loaded},
			[]string{"b", "a", "loaded", "the-long-name-of-theirs", "z", "c"},
		},
	} {
		members := slices.Clone(tt.members)
		if err := order(members); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range members {
			got = append(got, m.Name)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	}
}
