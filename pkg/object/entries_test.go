// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// entries makes entries of pairs of JSON values.
func entries(pairs ...string) []MapEntry {
	var list []MapEntry
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, MapEntry{Key: json.RawMessage(pairs[i]), Value: json.RawMessage(pairs[i+1])})
	}
	return list
}

func TestEntries(t *testing.T) {
	cpus := ebpf.MustPossibleCPU()
	each := make([][]byte, cpus)
	for i := range each {
		each[i] = u32s(9)
	}
	ten := []byte{10, 0, 0, 0}
	rule := append(append(u32s(1), u16s(80, 443)...), append(u32s(8), ten...)...)
	tests := []struct {
		name    string
		entries []MapEntry
		want    []ebpf.MapKV
	}{
		{"rules", entries(`"10.0.0.0/8"`, `{"verdict": 1, "ports": [80, 443], "from": "10.0.0.0/8"}`), []ebpf.MapKV{{Key: append(u32s(8), ten...), Value: rule}}},
		{"rules", entries(`{"prefixlen": 8, "address": "10.0.0.0"}`, `{}`), []ebpf.MapKV{{Key: append(u32s(8), ten...), Value: make([]byte, 16)}}},
		{"rules", entries(`"0.0.0.0/0"`, `{}`, `"0.0.0.0/1"`, `{}`), []ebpf.MapKV{{Key: u32s(0, 0), Value: make([]byte, 16)}, {Key: u32s(1, 0), Value: make([]byte, 16)}}},
		{"rules", entries(`"10.0.0.0"`, `{}`), []ebpf.MapKV{{Key: append(u32s(32), ten...), Value: make([]byte, 16)}}},
		{"rules6", entries(`"2001:db8::/32"`, `5`), []ebpf.MapKV{{Key: append(u32s(32), pad([]byte{0x20, 1, 0xd, 0xb8}, 16)...), Value: u32s(5)}}},
		{"rules6", entries(`"10.0.0.0/8"`, `5`), []ebpf.MapKV{{Key: append(append(u32s(104), make([]byte, 10)...), 0xff, 0xff, 10, 0, 0, 0), Value: u32s(5)}}},
		{"by_tag", entries(`{"prefixlen": 40, "tag": 7, "address": "10.0.0.0"}`, `5`), []ebpf.MapKV{{Key: append(u32s(40, 7), ten...), Value: u32s(5)}}},
		{"names", entries(`"02:00:00:00:00:01"`, `"one"`), []ebpf.MapKV{{Key: []byte{2, 0, 0, 0, 0, 1}, Value: pad([]byte("one"), 8)}}},
		{"list", entries(`3`, `5`, `"0x0"`, `6`), []ebpf.MapKV{{Key: u32s(3), Value: u64s(5)}, {Key: u32s(0), Value: u64s(6)}}},
		{"each", entries(`1`, `9`), []ebpf.MapKV{{Key: u32s(1), Value: each}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := program(t, "maps.o", "")
			if err := p.ConfigureMaps(map[string]MapSettings{test.name: {Entries: test.entries}}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, p.Spec.Maps[test.name].Contents); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEntriesRefused(t *testing.T) {
	tests := []struct {
		name    string
		entries []MapEntry
		want    []string
	}{
		{"rules", entries(`"10.1.0.0/8"`, `{}`), []string{`object maps.o: map "rules": entry 0: key: `, "write 10.0.0.0/8"}},
		{"rules", entries(`"2001:db8::/32"`, `{}`), []string{"is not an IPv4 address"}},
		{"rules", entries(`"10.0.0.0/33"`, `{}`), []string{"is not a prefix"}},
		{"rules", entries(`{"prefixlen": 33}`, `{}`), []string{"a prefix length of 33; the key has 32 bits"}},
		{"rules", entries(`7`, `{}`), []string{"want an object, not 7"}},
		{"rules", entries(`"10.0.0.0/8"`, `{}`, `{"prefixlen": 8, "address": "10.9.9.9"}`, `{}`), []string{"entries 0 and 1 have the same key"}},
		{"rules", entries(`"10.0.0.0/8"`, `{"ports": [80, 70000]}`), []string{"entry 0: value.ports[1]: 70000 does not fit __u16"}},
		{"rules", entries(`"10.0.0.0/8"`, `{"from": "10.0.0.0/40"}`), []string{"entry 0: value.from: "}},
		{"by_tag", entries(`"10.0.0.0/8"`, `1`), []string{"struct tagged", "want an object"}},
		{"names", entries(`"02:00:00:00:00:01"`, `"one"`, `"02-00-00-00-00-01"`, `"two"`), []string{"entries 0 and 1 have the same key"}},
		{"list", entries(`4`, `1`), []string{"entry 0: key: index 4; the map's 4 entries are counted from 0"}},
		{"list", entries(`1`, `1`, `"0x1"`, `2`), []string{"entries 0 and 1 have the same key"}},
		{"list", entries(`0`, `1`, `1`, `1`, `2`, `1`, `3`, `1`, `4`, `1`), []string{"5 entries, and the map holds 4"}},
		{"list", entries(`0`, ``), []string{"entry 0: value: it is missing"}},
		{"list", entries(``, `0`), []string{"entry 0: key: it is missing"}},
		{"list", entries(`0`, `{`), []string{"is not JSON"}},
		{"each", entries(`0`, `[1, 2]`), []string{"want an integer for __u32"}},
		{"untyped", entries(`1`, `1`), []string{"does not say its type", "__type(key"}},
		{"jumps", entries(`0`, `1`), []string{"ProgramArray", "cannot be written as entries"}},
		{"tables", entries(`0`, `1`), []string{"HashOfMaps", "cannot be written as entries"}},
		{"events", entries(`0`, `1`), []string{"RingBuf", "no entries"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := program(t, "maps.o", "").ConfigureMaps(map[string]MapSettings{test.name: {Entries: test.entries}})
			wantError(t, err, test.want...)
		})
	}
}

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
