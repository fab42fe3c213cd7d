// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// A member that stays over a swap goes on where it was, with every map it had.
func TestGivenMaps(t *testing.T) {
	first := build(t, dispatcher.Options{}, globals(t, "kept", 0, chain.TX, 5))
	run(t, first.Program, frame())

	// Its object says otherwise now, but the maps it is given are what counts.
	kept := globals(t, "kept", 0, chain.Drop, 7)
	kept.Maps = first.Maps["kept"]
	second := build(t, dispatcher.Options{Counters: true}, kept, globals(t, "new", 1, chain.Drop, 1))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got := run(t, second.Program, frame()); got != uint32(chain.TX) {
		t.Errorf("the constant of the frozen section that was given is not used: verdict %d", got)
	}
	for member, want := range map[string][2]uint64{"kept": {10, 2}, "new": {0, 0}} {
		maps := second.Maps[member]
		if got := [2]uint64{word(t, maps[".bss"]), word(t, maps["seen"])}; got != want {
			t.Errorf("member %s: sum and seen are %v, want %v", member, got, want)
		}
	}
}

func TestWrongMapGiven(t *testing.T) {
	wrong, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.Close()
	for _, tt := range []struct {
		mapName string
		want    error
	}{
		{"seen", ebpf.ErrMapIncompatible},
		{"other", chain.ErrInvalid},
	} {
		m := globals(t, "wronged", 0, chain.Pass, 1)
		m.Maps = map[string]*ebpf.Map{tt.mapName: wrong}
		err := buildError(t, dispatcher.Options{}, m)
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), `"wronged"`) || !strings.Contains(err.Error(), tt.mapName) {
			t.Errorf("map given as %s: %v", tt.mapName, err)
		}
	}
}

// What the kernel does not make is the object's fault, and said of the member.
func TestMapRefused(t *testing.T) {
	for name, spec := range map[string]*ebpf.MapSpec{
		"ring of a thousand bytes":           {Type: ebpf.RingBuf, MaxEntries: 1000},
		"values larger than per-CPU memory":  {Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 64 << 10, MaxEntries: 1},
		"prefixes longer than the kernel's":  {Type: ebpf.LPMTrie, KeySize: 4 + 300, ValueSize: 4, MaxEntries: 1, Flags: unix.BPF_F_NO_PREALLOC},
		"flags that the type does not allow": {Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1, Flags: unix.BPF_F_NO_PREALLOC},
	} {
		m := globals(t, "mine", 0, chain.Pass, 1)
		spec.Name = "seen"
		m.Spec.Maps["seen"] = spec
		err := buildError(t, dispatcher.Options{}, m)
		if !errors.Is(err, dispatcher.ErrMapRefused) || !strings.Contains(err.Error(), `"mine"`) || !strings.Contains(err.Error(), "seen") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// 64 members with a map each fill a program; the counters are one too many, unless
// members share a map.
func TestMapLimit(t *testing.T) {
	members := counting(t, MaxMembers)
	built := build(t, dispatcher.Options{}, members...)
	if got := run(t, built.Program, frame()); got != uint32(chain.Pass) {
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
	run(t, both.Program, frame())
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

func TestMapInMap(t *testing.T) {
	m := returning("a", 0, 2)
	inner := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Contents: []ebpf.MapKV{{Key: uint32(0), Value: uint64(9)}}}
	m.Spec.Maps = map[string]*ebpf.MapSpec{
		"inner": inner,
		"outer": {Type: ebpf.ArrayOfMaps, KeySize: 4, MaxEntries: 1, InnerMap: inner, Contents: []ebpf.MapKV{{Key: uint32(0), Value: "inner"}}},
	}
	built := build(t, dispatcher.Options{}, m)
	var got *ebpf.Map
	if err := built.Maps["a"]["outer"].Lookup(uint32(0), &got); err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if word(t, got) != 9 {
		t.Errorf("the inner map holds %d", word(t, got))
	}
}

func TestNothingIsLeft(t *testing.T) {
	testenv.NoLeaks(t)
	built, err := New().Build(t.Context(), []dispatcher.Member{globals(t, "a", 0, chain.Pass, 1)}, dispatcher.Options{Counters: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := built.Close(); err != nil {
			t.Error(err)
		}
	}
	buildError(t, dispatcher.Options{}, globals(t, "a", 0, chain.Pass, 1), object(t, "refused.o", "refused", "b", 1))
}
