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
