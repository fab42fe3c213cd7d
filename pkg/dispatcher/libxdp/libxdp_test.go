// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/bpf"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestMeaning(t *testing.T) {
	testenv.NeedFreplace(t)
	chaintest.Test(t, New(DefaultVersion))
}

// build builds a chain that is closed at the end of the test.
func build(t testing.TB, members ...dispatcher.Member) *dispatcher.Built {
	t.Helper()
	return chaintest.Build(t, New(DefaultVersion), dispatcher.Options{}, members...)
}

// buildError returns the error of a chain that must not load.
func buildError(t testing.TB, members ...dispatcher.Member) error {
	t.Helper()
	return chaintest.BuildError(t, New(DefaultVersion), dispatcher.Options{}, members...)
}

// again makes a member of the next chain of one that is in the last one.
func again(t testing.TB, m dispatcher.Member, last *dispatcher.Built) dispatcher.Member {
	t.Helper()
	for _, s := range last.Slots {
		if s.Member == m.Name {
			m.Loaded, m.Maps = s.Program, last.Maps[m.Name]
			return m
		}
	}
	t.Fatalf("%s is not in the chain", m.Name)
	return m
}

// others makes a member of libxdp's tools of a program: all that is known of it is
// what it is and where it stands.
func others(t testing.TB, m dispatcher.Member, last *dispatcher.Built) dispatcher.Member {
	t.Helper()
	m = again(t, m, last)
	m.Spec, m.Maps = nil, nil
	return m
}

func programID(t testing.TB, p *ebpf.Program) ebpf.ProgramID {
	t.Helper()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return id
}

// Members that stay over changes of the chain, alone and with others, keep their
// programs, their maps and what they have counted.
func TestAttachedAgain(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	kept := chaintest.Globals(t, "kept", 1, chain.Pass, 5)
	last := build(t, kept)
	id := programID(t, last.Slots[0].Program)
	packets := uint64(0)
	for _, company := range [][]dispatcher.Member{
		{},
		{chaintest.Returning("before", 0, 2)},
		{chaintest.Returning("before", 0, 2), chaintest.Returning("after", 2, 77)},
		{},
		{chaintest.Returning("after", 2, 78)},
	} {
		chaintest.Run(t, last.Program, chaintest.Frame())
		packets++
		next := build(t, append(company, again(t, kept, last))...)
		// Both run it now.
		for _, b := range []*dispatcher.Built{last, next} {
			chaintest.Run(t, b.Program, chaintest.Frame())
			packets++
		}
		if err := last.Close(); err != nil {
			t.Fatal(err)
		}
		last = next
		for _, s := range last.Slots {
			if s.Member == "kept" && programID(t, s.Program) != id {
				t.Errorf("with %d others: program %d, want %d", len(company), programID(t, s.Program), id)
			}
		}
		maps := last.Maps["kept"]
		if got, want := [2]uint64{chaintest.Word(t, maps[".bss"]), chaintest.Word(t, maps["seen"])}, [2]uint64{5 * packets, packets}; got != want {
			t.Errorf("with %d others: sum and seen are %v, want %v", len(company), got, want)
		}
	}
	if got := chaintest.Run(t, last.Program, chaintest.Frame()); got != 78 {
		t.Errorf("verdict %d", got)
	}
}

func TestTenMembers(t *testing.T) {
	testenv.NeedFreplace(t)
	for _, version := range []chain.LibxdpVersion{chain.LibxdpV2, chain.LibxdpV3} {
		t.Run("version "+version.String(), func(t *testing.T) {
			var members []dispatcher.Member
			want := &Config{Version: version}
			for i := range MaxMembers {
				members = append(members, chaintest.Globals(t, fmt.Sprint("m", i), 10*i, chain.Pass, 1))
				// What globals returns is set in a map, so of 31 it is not known.
				want.Slots = append(want.Slots, SlotConfig{Priority: 10 * i, ProceedOn: chain.DefaultProceedOn})
			}
			built := chaintest.Build(t, New(version), dispatcher.Options{Counters: true}, members...)
			got, err := Read(built.Program)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
			if got := chaintest.Run(t, built.Program, chaintest.Frame()); got != uint32(chain.Pass) {
				t.Errorf("verdict %d", got)
			}
			for i, s := range built.Slots {
				if s.Member != members[i].Name || chaintest.Word(t, built.Maps[s.Member]["seen"]) != 1 {
					t.Errorf("slot %d holds %s, which has seen %d packets", i, s.Member, chaintest.Word(t, built.Maps[s.Member]["seen"]))
				}
				if name, err := FunctionName(s.Program); err != nil || name != "globals" {
					t.Errorf("slot %d: function %q, %v", i, name, err)
				}
			}
			if built.Counters != nil {
				t.Error("there are counters, for which the protocol has no room")
			}
		})
	}
}

// Members of libxdp's tools keep libxdp's meaning, and order the chain.
func TestMembersOfOthers(t *testing.T) {
	testenv.NeedFreplace(t)
	theirs := chaintest.Told("theirs", 5, chain.ActionSetOf(chain.Drop, chain.Pass))
	made := build(t, theirs)

	alone := build(t, others(t, theirs, made))
	if got := chaintest.Run(t, alone.Program, chaintest.Packet([]uint32{5: uint32(chain.Drop)})); got != uint32(chain.Drop) {
		t.Errorf("alone, returning drop: verdict %d", got)
	}

	next := chaintest.Told("next", 6, chain.ActionSetOf(chain.Drop, chain.Pass))
	built := build(t, next, others(t, theirs, alone))
	for i, want := range []string{"theirs", "next"} {
		if built.Slots[i].Member != want {
			t.Errorf("slot %d holds %s, want %s", i, built.Slots[i].Member, want)
		}
	}
	// Their members go on after dispatcher_return though it is not in proceedOn, ours do
	// not.
	for _, tt := range []struct{ theirs, next, want uint32 }{
		{31, 77, 77},
		{31, 31, 31},
		{1, 1, 2},
		{3, 77, 3},
		{63, 77, 63},
	} {
		if got := chaintest.Run(t, built.Program, chaintest.Packet([]uint32{5: tt.theirs, 6: tt.next})); got != tt.want {
			t.Errorf("theirs returns %d, next %d: verdict %d, want %d", tt.theirs, tt.next, got, tt.want)
		}
	}
	if _, ok := built.Maps["theirs"]; ok && len(built.Maps["theirs"]) > 0 {
		t.Errorf("maps of theirs: %v", built.Maps["theirs"])
	}
}

// The flags of the slots, by which libxdp's tools know what the next dispatcher may be.
func TestFragsOfSlots(t *testing.T) {
	testenv.NeedFreplace(t)
	yes, no := chaintest.Returning("yes", 0, 2), chaintest.Returning("no", 1, 2)
	chaintest.Spec(yes).Flags = unix.BPF_F_XDP_HAS_FRAGS
	built := build(t, yes, no)
	got, err := Read(built.Program)
	if err != nil {
		t.Fatal(err)
	}
	if got.Frags || !got.Slots[0].Frags || got.Slots[1].Frags {
		t.Errorf("frags of dispatcher and slots: %+v", got)
	}
	theirs := others(t, yes, built)
	for _, frags := range []bool{true, false} {
		theirs.Frags = frags
		next := build(t, theirs)
		got, err := Read(next.Program)
		if err != nil {
			t.Fatal(err)
		}
		if got.Slots[0].Frags != frags || got.Frags != next.Frags || next.Frags && !frags {
			t.Errorf("theirs with frags %t: %+v, Built.Frags %t", frags, got, next.Frags)
		}
	}
}

func TestMixedLicenses(t *testing.T) {
	testenv.NeedFreplace(t)
	var members []dispatcher.Member
	for i, license := range []string{"GPL", "Proprietary", "Apache-2.0", "Dual BSD/GPL"} {
		m := chaintest.Returning(fmt.Sprint("m", i), i, 2)
		chaintest.Spec(m).License = license
		members = append(members, m)
	}
	members = append(members, chaintest.Returning("last", 9, 77))
	if got := chaintest.Run(t, build(t, members...).Program, chaintest.Frame()); got != 77 {
		t.Errorf("verdict %d", got)
	}
}

// Where the kernel refuses freplace, Build says what Probe says, and leaves nothing.
func TestNoFreplace(t *testing.T) {
	if Probe() == nil {
		t.Skip("this kernel has freplace")
	}
	testenv.NoLeaks(t)
	err := buildError(t, chaintest.Globals(t, "a", 0, chain.Pass, 1), chaintest.Returning("b", 1, 2))
	if !errors.Is(err, ErrNoFreplace) || !errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, dispatcher.ErrNotPermitted) {
		t.Errorf("an error of another kind: %v", err)
	}
	if errors.Is(err, dispatcher.ErrRefused) || strings.Contains(err.Error(), "MEMLOCK") {
		t.Errorf("a member is blamed, or a limit: %v", err)
	}
}

// The built-in programs have global functions that take the context, which old kernels
// refuse of an extension.
func TestGlobalFunctionsOfTheContext(t *testing.T) {
	testenv.NeedFreplace(t)
	for _, name := range []string{"acl", "count"} {
		t.Run(name, func(t *testing.T) {
			object, err := bpf.Objects.ReadFile(name + "/" + name + ".o")
			if err != nil {
				t.Fatal(err)
			}
			built := build(t, chaintest.ObjectOf(t, object, name, name, 0), chaintest.Returning("after", 1, uint32(chain.TX)))
			vlan := chaintest.Frame()
			vlan[12], vlan[13] = 0x81, 0x00 // EtherType 802.1Q: one of these functions is called
			if got := chaintest.Run(t, built.Program, vlan); got != uint32(chain.TX) {
				t.Errorf("verdict %d", got)
			}
		})
	}
}

// BenchmarkBuild loads chains of small members, and joins one to others that are there.
func BenchmarkBuild(b *testing.B) {
	testenv.NeedFreplace(b)
	for _, n := range []int{1, 5, 10} {
		members := chaintest.Counting(b, n)
		b.Run(fmt.Sprintf("members %d", n), func(b *testing.B) { benchmark(b, members) })
		if n == 1 {
			continue
		}
		there := build(b, members[1:]...)
		for i := range members[1:] {
			members[1+i] = again(b, members[1+i], there)
		}
		b.Run(fmt.Sprintf("members %d, one of them new", n), func(b *testing.B) { benchmark(b, members) })
	}
}

func benchmark(b *testing.B, members []dispatcher.Member) {
	for b.Loop() {
		built, err := New(DefaultVersion).Build(context.Background(), members, dispatcher.Options{})
		if err != nil {
			b.Fatal(err)
		}
		built.Close()
	}
}

// What is refused before the kernel is asked.
func TestCheck(t *testing.T) {
	good := chaintest.Returning("a", 0, 2)
	plain := good
	plain.Loaded = using(t, "plain", true)
	filled := chaintest.Object(t, "calls.o", "tail", "a", 0)
	filled.Spec.Maps["jumps"].Contents = []ebpf.MapKV{{Key: uint32(0), Value: "loop"}}
	for _, tt := range []struct {
		name    string
		version chain.LibxdpVersion
		opts    dispatcher.Options
		member  dispatcher.Member
		want    error
		says    string
	}{
		{"a version that is read alone", chain.LibxdpV1, dispatcher.Options{}, good, ErrVersion, "version 1"},
		{"a version to come", 4, dispatcher.Options{}, good, ErrVersion, "version 4"},
		{"tx by redirect", chain.LibxdpV2, dispatcher.Options{TXByRedirect: true}, good, ebpf.ErrNotSupported, "tx"},
		{"in hardware", chain.LibxdpV2, dispatcher.Options{Ifindex: 1}, good, ebpf.ErrNotSupported, "hardware"},
		{"no BTF", chain.LibxdpV2, dispatcher.Options{}, chaintest.Strip(chaintest.Returning("bare", 0, 2)), dispatcher.ErrNoBTF, `"bare"`},
		{"loaded as a program by itself", chain.LibxdpV2, dispatcher.Options{}, plain, chain.ErrInvalid, "XDP"},
		{"tail calls within the object", chain.LibxdpV2, dispatcher.Options{}, filled, dispatcher.ErrProgramArray, `"loop"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := chaintest.BuildError(t, New(tt.version), tt.opts, tt.member)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("want %v that says %q", tt.want, tt.says)
			}
		})
	}
}

func TestDispatcher(t *testing.T) {
	d := New(chain.LibxdpVersionAuto)
	if d.Kind() != chain.DispatcherLibxdp || d.MaxMembers() != 10 {
		t.Errorf("kind %s, %d members", d.Kind(), d.MaxMembers())
	}
}

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
			config, functions := plan(DefaultVersion, []dispatcher.Member{tt.member}, false)
			if functions[0] != tt.function {
				t.Errorf("it replaces %s, want %s", functions[0], tt.function)
			}
			want := chain.ActionSetOf(tt.mask...)
			if tt.bit31 {
				want |= 1 << 31
			}
			if got := config.Slots[0].ProceedOn; got != want {
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
	config, functions := plan(chain.LibxdpV3, []dispatcher.Member{frags, fragsToo, knownTo(2, chain.Drop), theirs(chain.Drop)}, true)
	want := &Config{Version: chain.LibxdpV3, Frags: true, Slots: []SlotConfig{
		{Priority: 7, ProceedOn: chain.DefaultProceedOn, Frags: true},
		{ProceedOn: chain.DefaultProceedOn, Frags: true},
		{ProceedOn: 1<<31 | 1<<chain.Drop},
		{ProceedOn: 1<<31 | 1<<chain.Drop},
	}}
	if diff := cmp.Diff(want, config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"prog0", "prog1", "prog2", "prog3"}, functions); diff != "" {
		t.Errorf("functions (-want +got):\n%s", diff)
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
