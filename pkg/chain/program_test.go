// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"errors"
	"strings"
	"testing"
)

func TestProgramCheck(t *testing.T) {
	priority := func(p int) *int { return &p }
	entry := []MapEntry{{Key: []byte("0"), Value: []byte("1")}}
	for _, tt := range []struct {
		name    string
		program Program
		says    string // what the error has to name; empty: no error
	}{
		{"least", Program{Name: "a"}, ""},
		{"most", Program{Name: strings.Repeat("a", 63), Object: "/o", Priority: priority(MaxPriority)}, ""},
		{"inner hyphens", Program{Name: "a--0"}, ""},
		{"no name", Program{}, "name is empty"},
		{"long name", Program{Name: strings.Repeat("a", 64)}, "64 bytes"},
		{"upper case", Program{Name: "Acl"}, `"Acl"`},
		{"path in name", Program{Name: "../acl"}, `"../acl"`},
		{"letter of another alphabet", Program{Name: "\u0430cl"}, `"аcl"`},
		{"inner blank", Program{Name: "a c"}, `"a c"`},
		{"hyphen alone", Program{Name: "-"}, `"-"`},
		{"new line in name", Program{Name: "a\n"}, `"a\n"`},
		{"leading hyphen", Program{Name: "-a"}, `"-a"`},
		{"trailing hyphen", Program{Name: "a-"}, `"a-"`},
		{"relative object", Program{Name: "a", Object: "x.o"}, `"x.o"`},
		{"negative priority", Program{Name: "a", Priority: priority(-1)}, "priority -1"},
		{"relative pin", Program{Name: "a", Maps: map[string]MapSettings{"m": {Pinned: "x"}}}, `map "m" of program "a"`},
		{"pin and scope", Program{Name: "a", Maps: map[string]MapSettings{"m": {Pinned: "/x", Scope: ScopePod}}}, "scope pod and pinned"},
		{"pin and size", Program{Name: "a", Maps: map[string]MapSettings{"m": {Pinned: "/x", MaxEntries: 1}}}, "maxEntries and pinned"},
		{"pin and entries", Program{Name: "a", Maps: map[string]MapSettings{"m": {Pinned: "/x", Entries: entry}}}, "entries and pinned"},
		{"node map with entries", Program{Name: "a", Maps: map[string]MapSettings{"m": {Scope: ScopeNode, Entries: entry, MaxEntries: 9}}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.program.Check()
			if tt.says == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want an ErrInvalid that says %q", err, tt.says)
			}
		})
	}
}
