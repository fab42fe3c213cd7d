// SPDX-License-Identifier: Apache-2.0

package bpfspec

import (
	"maps"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// using is a program of one kind that loads maps by their names.
func using(attach ebpf.AttachType, names ...string) *ebpf.ProgramSpec {
	var insns asm.Instructions
	for _, name := range names {
		insns = append(insns, asm.LoadMapPtr(asm.R1, 0).WithReference(name))
	}
	return &ebpf.ProgramSpec{Type: ebpf.XDP, AttachType: attach, SectionName: "xdp", Instructions: append(insns, asm.Return())}
}

func TestNarrow(t *testing.T) {
	entry := func(function string) []ebpf.MapKV {
		return []ebpf.MapKV{{Key: uint32(0), Value: chain.EntryProgram{Target: 1, Function: function}}}
	}
	object := &ebpf.CollectionSpec{
		Programs: map[string]*ebpf.ProgramSpec{
			"plain":     using(ebpf.AttachXDP),
			"mine":      using(ebpf.AttachXDP, "mine", "shared"),
			"other":     using(ebpf.AttachXDP, "others", "shared"),
			"outer":     using(ebpf.AttachXDP, "outer"),
			"redirects": using(ebpf.AttachXDP, "ports"),
			"stage":     using(ebpf.AttachXDPDevMap, "staged", "ports"),
			"stray":     using(ebpf.AttachXDPDevMap, "strays"),
		},
		Maps: map[string]*ebpf.MapSpec{
			"mine": {}, "shared": {}, "others": {}, "inner": {}, "staged": {}, "strays": {}, "unused": {},
			"outer": {Type: ebpf.ArrayOfMaps, Contents: []ebpf.MapKV{{Key: uint32(0), Value: "inner"}}},
			"ports": {Type: ebpf.DevMap, Contents: entry("stage")},
		},
	}
	for function, want := range map[string][2][]string{
		"plain":     {{"plain"}, {"unused"}},
		"mine":      {{"mine"}, {"mine", "shared", "unused"}},
		"outer":     {{"outer"}, {"inner", "outer", "unused"}},
		"redirects": {{"redirects", "stage"}, {"ports", "staged", "unused"}},
	} {
		narrow := Narrow(object, function)
		got := [2][]string{slices.Sorted(maps.Keys(narrow.Programs)), slices.Sorted(maps.Keys(narrow.Maps))}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("programs and maps of %s (-want +got):\n%s", function, diff)
		}
	}
	if len(object.Programs) != 7 || len(object.Maps) != 9 {
		t.Errorf("the collection itself was changed: %d programs, %d maps", len(object.Programs), len(object.Maps))
	}
}

func TestChoose(t *testing.T) {
	stage := using(ebpf.AttachXDPDevMap)
	classifier := &ebpf.ProgramSpec{Type: ebpf.SchedCLS, SectionName: "tc"}
	for _, tt := range []struct {
		name     string
		programs map[string]*ebpf.ProgramSpec
		function string
		want     string // a program, or what the error says
		refused  bool
	}{
		{"the only one", map[string]*ebpf.ProgramSpec{"a": using(ebpf.AttachNone), "stage": stage, "tc": classifier}, "", "a", false},
		{"one of two", map[string]*ebpf.ProgramSpec{"a": using(ebpf.AttachXDP), "b": using(ebpf.AttachXDP)}, "b", "b", false},
		{"two and no choice", map[string]*ebpf.ProgramSpec{"a": using(ebpf.AttachXDP), "b": using(ebpf.AttachXDP)}, "", "2 XDP programs; name one with function; the object holds a (xdp), b (xdp)", true},
		{"none that can stand", map[string]*ebpf.ProgramSpec{"tc": classifier}, "", "no XDP program; the object holds tc (tc)", true},
		{"none at all", nil, "", "no XDP program; the object holds none", true},
		{"not there", map[string]*ebpf.ProgramSpec{"a": using(ebpf.AttachXDP)}, "b", `no program "b"; the object holds a (xdp)`, true},
		{"of another type", map[string]*ebpf.ProgramSpec{"tc": classifier}, "tc", `program "tc" cannot stand in a chain: it is a SchedCLS program (section "tc"), not XDP`, true},
		{"for a devmap", map[string]*ebpf.ProgramSpec{"stage": stage}, "stage", `program "stage" cannot stand in a chain: its section "xdp" makes it run on frames that a devmap redirects, not on those an interface receives`, true},
	} {
		got, err := Choose(tt.programs, tt.function)
		if tt.refused != (err != nil) {
			t.Errorf("%s: %q, %v", tt.name, got, err)
			continue
		}
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s:\n\t%s\nwant\n\t%s", tt.name, got, tt.want)
		}
	}
}
