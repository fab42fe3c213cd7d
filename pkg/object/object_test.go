// SPDX-License-Identifier: Apache-2.0

package object

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// load parses one of the objects of testdata.
func load(t testing.TB, name string) *Object {
	t.Helper()
	o, err := New(name, content(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func content(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// program takes a program out of one of the objects of testdata.
func program(t testing.TB, name, function string) *Program {
	t.Helper()
	p, err := load(t, name).Program(function)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wantError fails the test unless err is about an unusable object and its message
// has all the parts.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", parts)
	}
	if !errors.Is(err, ErrUnusable) {
		t.Errorf("%q does not satisfy errors.Is(err, ErrUnusable)", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestObjectKnowsItsContent(t *testing.T) {
	bytes := content(t, "plain.o")
	o := load(t, "plain.o")
	if !slices.Equal(o.Content(), bytes) {
		t.Error("Content is not what was parsed")
	}
	if !strings.HasPrefix(o.Digest, "sha256:") || len(o.Digest) != len("sha256:")+64 {
		t.Errorf("Digest is %q", o.Digest)
	}
}

func TestProgramTakesWhatItUsesAlone(t *testing.T) {
	tests := []struct {
		object, function string
		maps, variables  []string
		frags, gpl       bool
		license          string
	}{
		{"several.o", "first", []string{"of_first"}, nil, false, false, "Proprietary"},
		{"several.o", "second", nil, nil, true, false, "Proprietary"},
		{"plain.o", "", []string{".rodata"}, []string{"verdict"}, false, false, ""},
		{"globals.o", "others", []string{".data.other"}, []string{"other"}, false, true, "Dual BSD/GPL"},
		{"nobtf.o", "plain", []string{".rodata"}, []string{"verdict"}, false, false, ""},
		{
			"maps.o", "filter",
			[]string{"by_tag", "each", "events", "first", "jumps", "list", "names", "ports", "rules", "rules6", "tables", "untyped"},
			nil, false, true, "Dual BSD/GPL",
		},
	}
	for _, test := range tests {
		t.Run(test.object+" "+test.function, func(t *testing.T) {
			p := program(t, test.object, test.function)
			if len(p.Spec.Programs) != 1 || p.Spec.Programs[p.Function] == nil {
				t.Errorf("the spec holds programs %v; want %q alone", keys(p.Spec.Programs), p.Function)
			}
			if diff := cmp.Diff(test.maps, keys(p.Spec.Maps)); diff != "" {
				t.Errorf("maps (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.variables, keys(p.Spec.Variables)); diff != "" {
				t.Errorf("variables (-want +got):\n%s", diff)
			}
			if p.Frags != test.frags || p.License != test.license || p.GPLCompatible != test.gpl {
				t.Errorf("frags %v, license %q, GPL-compatible %v; want %v, %q, %v",
					p.Frags, p.License, p.GPLCompatible, test.frags, test.license, test.gpl)
			}
		})
	}
}

func keys[V any](m map[string]V) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

func TestChoiceSaysWhatTheObjectHolds(t *testing.T) {
	const all = "classify (tc), first (xdp), on_cpumap (xdp.frags/cpumap), on_devmap (xdp/devmap), plain (prog), second (xdp.frags)"
	tests := []struct {
		object, function string
		want             []string
	}{
		{"several.o", "", []string{"object several.o: 2 XDP programs; name one with function", all}},
		{"several.o", "third", []string{`no program "third"`, all}},
		{"several.o", "look", []string{`no program "look"`, all}},
		{"several.o", "classify", []string{"SchedCLS", `section "tc"`, "not XDP"}},
		{"several.o", "plain", []string{`section "prog"`, `SEC("xdp")`}},
		{"several.o", "on_devmap", []string{"xdp/devmap", "devmap redirects"}},
		{"several.o", "on_cpumap", []string{"xdp.frags/cpumap", "cpumap redirects"}},
		{"noxdp.o", "", []string{"no XDP program", "classify (tc)"}},
		{"refused.o", "on_kconfig", []string{"LINUX_KERNEL_VERSION", "__kconfig"}},
		{"refused.o", "on_metadata", []string{"bpf_xdp_metadata_rx_timestamp", "bound to one device"}},
		{"refused.o", "on_programs", []string{`map "targets"`, "filled with programs"}},
		{"refused.o", "on_memory", []string{`map "memory"`, "1048576 entries of 4104 bytes", "1073741824 bytes"}},
	}
	for _, test := range tests {
		t.Run(test.object+" "+test.function, func(t *testing.T) {
			_, err := load(t, test.object).Program(test.function)
			wantError(t, err, test.want...)
		})
	}
}

func TestProgramsOfOneObjectShareNothing(t *testing.T) {
	o := load(t, "globals.o")
	take := func() *Program {
		p, err := o.Program("globals")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first, second := take(), take()
	if err := first.SetGlobals(raw(`{"limit": 1, "u32": 8}`)); err != nil {
		t.Fatal(err)
	}
	first.Spec.Programs["globals"].Instructions[0].Constant = 99
	first.Spec.Maps[".data"].MaxEntries = 99
	for name, p := range map[string]*Program{"second": second, "third": take()} {
		var limit, u32 uint32
		if err := errors.Join(p.Spec.Variables["limit"].Get(&limit), p.Spec.Variables["u32"].Get(&u32)); err != nil {
			t.Fatal(err)
		}
		if limit != 100 || u32 != 7 || p.Spec.Maps[".data"].MaxEntries != 1 || p.Spec.Programs["globals"].Instructions[0].Constant == 99 {
			t.Errorf("the %s program changed with the first", name)
		}
		if section := p.Spec.Maps[".data"].Contents[0].Value.([]byte); section[p.Spec.Variables["limit"].Offset] != 100 {
			t.Errorf("the %s program's .data changed with the first", name)
		}
	}
}

// TestProgramsAtOnce is for the race detector.
func TestProgramsAtOnce(t *testing.T) {
	o := load(t, "globals.o")
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			p, err := o.Program("globals")
			if err != nil {
				t.Error(err)
				return
			}
			if err := p.SetGlobals(raw(`{"limit": 1, "color": "BLUE", "words": ["a", "b"]}`)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
}

func BenchmarkNew(b *testing.B) {
	for _, name := range []string{"plain.o", "maps.o", "globals.o"} {
		b.Run(name, func(b *testing.B) {
			bytes := content(b, name)
			for b.Loop() {
				if _, err := New(name, bytes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkProgram(b *testing.B) {
	for name, function := range map[string]string{"plain.o": "plain", "maps.o": "filter", "globals.o": "globals"} {
		b.Run(name, func(b *testing.B) {
			o := load(b, name)
			for b.Loop() {
				if _, err := o.Program(function); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
