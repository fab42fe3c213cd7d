// SPDX-License-Identifier: Apache-2.0

package object

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestTargets(t *testing.T) {
	tests := []struct {
		name    string
		entries []MapEntry
		want    []ebpf.MapKV
		// programs besides send, and maps besides its own, that the entries bring in
		programs, maps, used []string
		frags                bool
	}{
		{
			name: "ports", entries: entries(`7`, `{"ifindex": 3}`, `8`, `4`), frags: true,
			want: []ebpf.MapKV{{Key: u32s(7), Value: u32s(3, 0)}, {Key: u32s(8), Value: u32s(4, 0)}},
		},
		{
			name: "plain_ports", entries: entries(`1`, `{"ifindex": "0x3"}`), frags: true,
			want: []ebpf.MapKV{{Key: u32s(1), Value: u32s(3)}},
		},
		{
			name: "cpus", entries: entries(`0`, `{"qsize": 192}`, `1`, `64`), frags: true,
			want: []ebpf.MapKV{{Key: u32s(0), Value: u32s(192, 0)}, {Key: u32s(1), Value: u32s(64, 0)}},
		},
		{
			name: "ports", entries: entries(`7`, `{"ifindex": 3, "program": "count_out"}`), frags: true,
			want:     []ebpf.MapKV{{Key: u32s(7), Value: chain.EntryProgram{Target: 3, Function: "count_out"}}},
			programs: []string{"count_out"}, maps: []string{".data", "aside"}, used: []string{"aside", ".data"},
		},
		{
			name: "ports", entries: entries(`7`, `{"ifindex": 3, "program": "one_buffer"}`),
			want:     []ebpf.MapKV{{Key: u32s(7), Value: chain.EntryProgram{Target: 3, Function: "one_buffer"}}},
			programs: []string{"one_buffer"},
		},
		{
			name: "cpus", entries: entries(`0`, `{"program": "send_on", "qsize": 192}`), frags: true,
			want:     []ebpf.MapKV{{Key: u32s(0), Value: chain.EntryProgram{Target: 192, Function: "send_on"}}},
			programs: []string{"send_on"}, used: []string{"ports"},
		},
	}
	for _, test := range tests {
		p := program(t, "stages.o", "")
		if err := p.ConfigureMaps(map[string]MapSettings{test.name: {Entries: test.entries}}); err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(test.want, p.Spec.Maps[test.name].Contents); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		wantKeys(t, p.Spec.Programs, append([]string{"send"}, test.programs...)...)
		wantKeys(t, p.Spec.Maps, append([]string{".rodata", "cpus", "plain_ports", "ports"}, test.maps...)...)
		if diff := cmp.Diff(test.used, p.EntryProgramMaps(test.name)); diff != "" {
			t.Errorf("maps of the entry programs in %s (-want +got):\n%s", test.name, diff)
		}
		if p.Frags != test.frags {
			t.Errorf("with entries of %s, Frags is %t", test.name, p.Frags)
		}
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

func TestTargetsRefused(t *testing.T) {
	type settings = map[string]MapSettings
	of := func(name string, pairs ...string) settings { return settings{name: {Entries: entries(pairs...)}} }
	tests := []struct {
		settings settings
		want     []string
	}{
		{of("ports", `1`, `{"program": "count_out"}`), []string{`map "ports": entry 0: value: ifindex is missing or 0`}},
		{of("ports", `1`, `{"ifindex": 0}`), []string{"ifindex is missing or 0"}},
		{of("ports", `1`, `"eth0"`), []string{`want a number, or an object such as {"ifindex": 1, "program": "name"}, not "eth0"`}},
		{of("ports", `1`, `-1`), []string{"value.ifindex: -1 does not fit __u32"}},
		{of("ports", `1`, `{"ifindex": 1, "bpf_prog": {"fd": 3}}`), []string{"value.bpf_prog: there is no such member; there are ifindex and program"}},
		{of("ports", `1`, `{"ifindex": 1, "program": 3}`), []string{"value.program: want the name of a program of the object, not 3"}},
		{of("ports", `1`, `{"ifindex": 1, "program": "nothing"}`), []string{`no program "nothing"; the object holds around (xdp.frags/cpumap), back (xdp/devmap)`}},
		{of("ports", `1`, `{"ifindex": 1, "program": "send"}`), []string{`program "send" (section "xdp.frags") cannot run on what a map of type DevMapHash redirects; that takes SEC("xdp/devmap")`}},
		{of("ports", `1`, `{"ifindex": 1, "program": "send_on"}`), []string{`program "send_on" (section "xdp.frags/cpumap")`, `SEC("xdp/devmap")`}},
		{of("cpus", `0`, `{"qsize": 1, "program": "count_out"}`), []string{`program "count_out" (section "xdp.frags/devmap")`, `SEC("xdp/cpumap")`}},
		{of("cpus", `4`, `1`), []string{"index 4; the map's 4 entries are counted from 0"}},
		{of("cpus", `0`, `{"ifindex": 1}`), []string{"there is no such member; there are qsize and program"}},
		{of("plain_ports", `0`, `{"ifindex": 1, "program": "one_buffer"}`), []string{"its 4 bytes have no room for a program", "struct bpf_devmap_val"}},
		{of("cpus", `0`, `{"qsize": 1, "program": "around"}`), []string{`map "cpus": a program in its entries uses the map itself`}},
		{
			settings{"cpus": {Entries: entries(`0`, `{"qsize": 1, "program": "send_on"}`)}, "ports": {Entries: entries(`0`, `{"ifindex": 1, "program": "back"}`)}},
			[]string{"a program in its entries uses the map itself"},
		},
		{settings{"ports": {Shared: true, Entries: entries(`1`, `1`)}}, []string{"interfaces of one network namespace", "scope pod"}},
		{settings{"cpus": {Shared: true, Entries: entries(`1`, `{"qsize": 1, "program": "send_on"}`)}}, []string{"its entries have programs", "scope pod"}},
	}
	for _, test := range tests {
		wantError(t, program(t, "stages.o", "").ConfigureMaps(test.settings), test.want...)
	}
}
