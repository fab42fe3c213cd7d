// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
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
