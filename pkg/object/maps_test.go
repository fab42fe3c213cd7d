// SPDX-License-Identifier: Apache-2.0

package object

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
)

func TestConfigureMaps(t *testing.T) {
	p := program(t, "maps.o", "")
	// The new size holds for the entries given with it.
	err := p.ConfigureMaps(map[string]MapSettings{"list": {MaxEntries: 8, Entries: entries(`7`, `1`)}})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Spec.Maps["list"].MaxEntries; got != 8 {
		t.Errorf("the map has %d entries; want 8", got)
	}
}

func TestConfigureMapsRefuses(t *testing.T) {
	tests := []struct {
		object, function, name string
		settings               MapSettings
		want                   []string
	}{
		{"maps.o", "", "nothing", MapSettings{}, []string{`map "nothing": there is no such map`, "by_tag, each, events, first, jumps"}},
		{"maps.o", "", "unused", MapSettings{}, []string{`program "filter" does not use it`}},
		{"maps.o", "", "list", MapSettings{MaxEntries: 1 << 31}, []string{"maxEntries: 2147483648 entries of 16 bytes", "at most 67108864 fit"}},
		{"maps.o", "", "events", MapSettings{MaxEntries: 1 << 31}, []string{"maxEntries"}},
		{"globals.o", "globals", ".rodata", MapSettings{}, []string{"set those with globals"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := program(t, test.object, test.function).ConfigureMaps(map[string]MapSettings{test.name: test.settings})
			wantError(t, err, test.want...)
		})
	}
}

func TestPinnedByName(t *testing.T) {
	p := program(t, "maps.o", "")
	if p.Spec.Maps["names"].Pinning != ebpf.PinNone {
		t.Error("loading the spec would pin the map")
	}
	for name, want := range map[string]bool{"list": false, "names": true} {
		if got := p.PinnedByName(name); got != want {
			t.Errorf("map %s is pinned by name: %t, want %t", name, got, want)
		}
	}
}

func TestCheckMemory(t *testing.T) {
	cpus := uint32(ebpf.MustPossibleCPU())
	tests := []struct {
		name string
		spec ebpf.MapSpec
		want string // empty: allowed
	}{
		{"largest", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 1 << 26}, ""},
		{"one more", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 1<<26 + 1}, "at most 67108864 fit"},
		{"per CPU", ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 1 << 20, MaxEntries: 1024/cpus + 1}, "are more than the 1073741824 bytes"},
		{"ring buffer", ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 1 << 30}, ""},
		{"large ring buffer", ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 1 << 31}, "are more than"},
		{"key", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 513, ValueSize: 4, MaxEntries: 1}, "keys of 513 bytes; at most 512"},
		{"value", ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 1<<32 - 1, MaxEntries: 1}, "values of 4294967295 bytes; at most 16777216"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := checkMemory(&test.spec)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v; want %q", err, test.want)
			}
		})
	}
}

func wantKeys[V any](t *testing.T, got map[string]V, want ...string) {
	t.Helper()
	wanted := make(map[string]bool)
	for _, name := range want {
		wanted[name] = true
	}
	if diff := cmp.Diff(keys(wanted), keys(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Maps and variables that entry programs alone use are there once entries name those,
// whatever the order of the names.
func TestEntryProgramBringsItsOwn(t *testing.T) {
	p := program(t, "stages.o", "")
	if err := p.ConfigureMaps(map[string]MapSettings{
		"aside": {Entries: entries(`0`, `5`)},
		"ports": {Entries: entries(`7`, `{"ifindex": 3, "program": "count_out"}`)},
	}); err != nil {
		t.Fatal(err)
	}
	if err := p.SetGlobals(raw(`{"of_stage": 9, "of_member": 1}`)); err != nil {
		t.Fatal(err)
	}
	wantError(t, program(t, "stages.o", "").SetGlobals(raw(`{"of_stage": 9}`)), "of_stage")
}
