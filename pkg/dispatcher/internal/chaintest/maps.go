// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// givenMaps is a member that stays over a swap and goes on where it was, with every
// map it had.
func givenMaps(t *testing.T, d dispatcher.Dispatcher) {
	first := Build(t, d, dispatcher.Options{}, Globals(t, "kept", 0, chain.TX, 5))
	Run(t, first.Program, Frame())

	// Its object says otherwise now, but the maps it is given are what counts.
	kept := Globals(t, "kept", 0, chain.Drop, 7)
	kept.Maps = first.Maps["kept"]
	second := Build(t, d, dispatcher.Options{Counters: true}, kept, Globals(t, "new", 1, chain.Drop, 1))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got := Run(t, second.Program, Frame()); got != uint32(chain.TX) {
		t.Errorf("the constant of the frozen section that was given is not used: verdict %d", got)
	}
	for member, want := range map[string][2]uint64{"kept": {10, 2}, "new": {0, 0}} {
		maps := second.Maps[member]
		if got := [2]uint64{Word(t, maps[".bss"]), Word(t, maps["seen"])}; got != want {
			t.Errorf("member %s: sum and seen are %v, want %v", member, got, want)
		}
	}
}

func wrongMapGiven(t *testing.T, d dispatcher.Dispatcher) {
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
		m := Globals(t, "wronged", 0, chain.Pass, 1)
		m.Maps = map[string]*ebpf.Map{tt.mapName: wrong}
		err := BuildError(t, d, dispatcher.Options{}, m)
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), `"wronged"`) || !strings.Contains(err.Error(), tt.mapName) {
			t.Errorf("map given as %s: %v", tt.mapName, err)
		}
	}
}

// mapRefused is maps that the kernel does not make: the object's fault, and said of
// the member.
func mapRefused(t *testing.T, d dispatcher.Dispatcher) {
	for name, spec := range map[string]*ebpf.MapSpec{
		"ring of a thousand bytes":           {Type: ebpf.RingBuf, MaxEntries: 1000},
		"values larger than per-CPU memory":  {Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8 << 20, MaxEntries: 1},
		"prefixes longer than the kernel's":  {Type: ebpf.LPMTrie, KeySize: 4 + 300, ValueSize: 4, MaxEntries: 1, Flags: unix.BPF_F_NO_PREALLOC},
		"flags that the type does not allow": {Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1, Flags: unix.BPF_F_NO_PREALLOC},
	} {
		m := Globals(t, "mine", 0, chain.Pass, 1)
		spec.Name = "seen"
		m.Spec.Maps["seen"] = spec
		err := BuildError(t, d, dispatcher.Options{}, m)
		if !errors.Is(err, dispatcher.ErrMapRefused) || !strings.Contains(err.Error(), `"mine"`) || !strings.Contains(err.Error(), "seen") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func mapInMap(t *testing.T, d dispatcher.Dispatcher) {
	m := Returning("a", 0, 2)
	inner := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Contents: []ebpf.MapKV{{Key: uint32(0), Value: uint64(9)}}}
	m.Spec.Maps = map[string]*ebpf.MapSpec{
		"inner": inner,
		"outer": {Type: ebpf.ArrayOfMaps, KeySize: 4, MaxEntries: 1, InnerMap: inner, Contents: []ebpf.MapKV{{Key: uint32(0), Value: "inner"}}},
	}
	built := Build(t, d, dispatcher.Options{}, m)
	var got *ebpf.Map
	if err := built.Maps["a"]["outer"].Lookup(uint32(0), &got); err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if Word(t, got) != 9 {
		t.Errorf("the inner map holds %d", Word(t, got))
	}
}
