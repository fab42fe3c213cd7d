// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/strict"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestBuiltins(t *testing.T) {
	for _, name := range Builtins() {
		t.Run(name, func(t *testing.T) {
			e, err := Builtin(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := chain.CheckName(e.Name); err != nil || e.Name != name {
				t.Errorf("name %q: %v", e.Name, err)
			}
			spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(e.Content))
			if err != nil {
				t.Fatal(err)
			}
			p := spec.Programs[e.Function]
			if p == nil || p.Type != ebpf.XDP {
				t.Fatalf("function %q is no XDP program of the object", e.Function)
			}
			for _, list := range e.Lists {
				if spec.Maps[list] == nil {
					t.Errorf("the object has no map %q", list)
				}
			}
			for global := range e.Globals {
				if spec.Variables[global] == nil {
					t.Errorf("the object has no variable %q", global)
				}
			}
			for global, setting := range e.Settable {
				if spec.Variables[global] == nil {
					t.Errorf("the object has no variable %q", global)
				}
				if value, given := e.Globals[global]; given {
					if _, ok := setting.Accept(value); !ok {
						t.Errorf("%s of variable %q is not %s", value, global, setting)
					}
				}
			}
		})
	}
}

// Every program of package bpf has an entry; its source is called as its folder is.
func TestBuiltinsAreThoseOfTheSources(t *testing.T) {
	sources, err := filepath.Glob("../../bpf/*/*.c")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, source := range sources {
		name := strings.TrimSuffix(filepath.Base(source), ".c")
		if name == filepath.Base(filepath.Dir(source)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, Builtins()); diff != "" {
		t.Errorf("names (-sources +entries):\n%s", diff)
	}
}

func TestBuiltinReturnsTheCommittedObject(t *testing.T) {
	want, err := os.ReadFile("../../bpf/acl/acl.o")
	if err != nil {
		t.Fatal(err)
	}
	changed, err := Builtin("acl")
	if err != nil {
		t.Fatal(err)
	}
	// A caller that spoils its entry spoils nobody else's.
	changed.Content[0], *changed.Priority, changed.Lists[0] = 0, 99, "spoiled"
	got, err := Builtin("acl")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Content, want) || *got.Priority != 20 || got.Lists[0] != "rules" {
		t.Errorf("priority %d, lists %v, content equal: %v", *got.Priority, got.Lists, bytes.Equal(got.Content, want))
	}
}

func TestUnknownName(t *testing.T) {
	for _, name := range []string{"", "ACL", "acl ", "../acl", "include"} {
		_, err := Builtin(name)
		if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), strings.Join(Builtins(), ", ")) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestCheckMaps(t *testing.T) {
	tests := []struct {
		name string
		keys []string
		want string // in the error, "" for none
	}{
		{"no entries", nil, ""},
		{"one", []string{"0"}, ""},
		{"in any order", []string{"2", "0", "1"}, ""},
		{"as strings", []string{`"0x0"`, `"1"`}, ""},
		{"not from 0", []string{"1"}, "no key 0 but key 1"},
		{"by tens", []string{"10", "20"}, "no key 0 but key 20"},
		{"a gap", []string{"0", "1", "3"}, "no key 2 but key 3"},
		{"no number", []string{`"first"`, "7"}, ""},
	}
	acl, err := Builtin("acl")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var entries []config.MapEntry
			for _, key := range tt.keys {
				entries = append(entries, config.MapEntry{Key: json.RawMessage(key)})
			}
			err := acl.CheckMaps(map[string]config.MapSettings{"rules": {Entries: entries}, "others": {Entries: []config.MapEntry{{Key: json.RawMessage("9")}}}})
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, chain.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// setting decodes what a catalog file has.
func setting(t testing.TB, document string) Setting {
	t.Helper()
	var s Setting
	if err := json.Unmarshal([]byte(document), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSettingAccepts(t *testing.T) {
	const (
		bounds = `{"min": -5, "max": 100}`
		wide   = `{"min": 0, "max": "0xffffffffffffffff"}`
		values = `{"values": ["low", "hi\u0067h", 7, 1.50, "8", true]}`
	)
	for _, tt := range []struct{ setting, value, want string }{
		{bounds, `-5`, `-5`},
		{bounds, `100`, `100`},
		{bounds, `"0x10"`, `16`},
		{bounds, `"7"`, `7`},
		{bounds, `-6`, ``},
		{bounds, `101`, ``},
		{bounds, `7.0`, ``},
		{bounds, `1e1`, ``},
		{bounds, `"seven"`, ``},
		{bounds, `"007"`, ``},
		{bounds, `""`, ``},
		{bounds, `true`, ``},
		{bounds, `null`, ``},
		{bounds, `[7]`, ``},
		{bounds, `"${pod.ifindex}"`, ``},
		{wide, `18446744073709551615`, `"18446744073709551615"`},
		{wide, `9007199254740993`, `"9007199254740993"`},
		{wide, `18446744073709551616`, ``},
		{wide, `-1`, ``},
		{values, `"low"`, `"low"`},
		{values, `"high"`, `"hi\u0067h"`},
		{values, `"\u006cow"`, `"low"`},
		{values, `7`, `7`},
		{values, `"8"`, `"8"`},
		{values, `true`, `true`},
		{values, `1.50`, `1.50`},
		{values, `1.5`, ``},
		{values, `7.0`, ``},
		{values, `"7"`, ``},
		{values, `8`, ``},
		{values, `"true"`, ``},
		{values, `"LOW"`, ``},
		{values, `"l\u043ew"`, ``},
		{values, `null`, ``},
		{values, `["low"]`, ``},
	} {
		got, ok := setting(t, tt.setting).Accept(json.RawMessage(tt.value))
		if string(got) != tt.want || ok != (tt.want != "") {
			t.Errorf("%s makes %s of %s, %v; want %q", tt.setting, got, tt.value, ok, tt.want)
		}
	}
	if got, ok := (Setting{}).Accept(json.RawMessage("1")); ok {
		t.Errorf("no setting makes %s", got)
	}
}

func TestSettingExtremes(t *testing.T) {
	for document, want := range map[string]string{
		`{"min": "-0x1", "max": "18446744073709551615"}`: `[-1,"18446744073709551615"]`,
		`{"values": ["a", 1, false]}`:                    `["a",1,false]`,
		`{"min": 3, "max": 3, "values": null}`:           `[3,3]`,
	} {
		got, err := json.Marshal(setting(t, document).Extremes())
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", document, got, err, want)
		}
	}
}

func TestSettingRefuses(t *testing.T) {
	const wanted = `want {"min": …, "max": …} or {"values": […]}`
	for document, want := range map[string]string{
		`{}`:                                   wanted,
		`null`:                                 wanted,
		`{"min": 1, "max": 2, "values": [1]}`:  wanted,
		`{"min": 1}`:                           "it has no max; give both bounds",
		`{"max": 1}`:                           "it has no min; give both bounds",
		`{"min": null, "max": 1}`:              "min: want a whole number, got null",
		`{"min": 2, "max": 1}`:                 "min 2 is over max 1",
		`{"min": 1.5, "max": 2}`:               "min: want a whole number, got 1.5",
		`{"min": 1, "max": "many"}`:            `max: want a whole number, got "many"`,
		`{"min": [], "max": {}}`:               "min: want a whole number, got []\nmax: want a whole number, got {}",
		`{"values": []}`:                       "values: the list is empty",
		`{"values": "a"}`:                      `values: want a list, got "a"`,
		`{"values": [1, null, [2], {"a": 1}]}`: "values[1]: want a string, a number, true or false, got null\nvalues[2]: want a string, a number, true or false, got [2]\nvalues[3]: ",
		`{"minimum": 1, "max": 2}`:             `minimum: unknown field`,
		`{"min": 1, "max": 2, "step": 1}`:      `step: unknown field`,
		`{"min": 1, "min": 2, "max": 3}`:       "min: the field is there twice",
		`[1, 2]`:                               "want an object, got [1, 2]",
		`{"min": "` + strings.Repeat("9", 99) + `", "max": 1}`: `min: want a whole number, got "9999`,
	} {
		var s Setting
		err := json.Unmarshal([]byte(document), &s)
		faults, ok := errors.AsType[strict.Faults](err)
		if !ok || !strings.HasPrefix(faults.Error(), want) {
			t.Errorf("%s: %v, want %q", document, err, want)
		}
	}
}

func TestSettingPrints(t *testing.T) {
	for document, want := range map[string]string{
		`{"min": -1, "max": 18446744073709551615}`:    "-1 to 18446744073709551615",
		`{"values": ["low", 7, true]}`:                `"low" or 7 or true`,
		`{"values": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}`: "1 or 2 or 3 or 4 or 5 or 6 or 7 or 8 or …",
	} {
		if diff := cmp.Diff(want, setting(t, document).String()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}
