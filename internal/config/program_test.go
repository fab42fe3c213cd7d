// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
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
		{"most", Program{Name: strings.Repeat("a", 63), Object: "/o", Priority: priority(chain.MaxPriority)}, ""},
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
			if !errors.Is(err, chain.ErrInvalid) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want an chain.ErrInvalid that says %q", err, tt.says)
			}
		})
	}
}

func TestWithDefaultsTakesTheNearestSource(t *testing.T) {
	ten, twenty := 10, 20
	member := func(priority int, on chain.ActionSet) chain.Member {
		return chain.Member{Name: "m", Function: "f", Priority: priority, ProceedOn: on}
	}
	run := func(priority *int, on *chain.ActionSet) chain.RunConfig {
		return chain.RunConfig{Priority: priority, ProceedOn: on}
	}
	drop, none := chain.ActionSetOf(chain.Drop), chain.ActionSet(0)
	for _, tt := range []struct {
		name    string
		program Program
		sources []chain.RunConfig
		want    chain.Member
	}{
		{"defaults", Program{Name: "m"}, nil, member(50, chain.DefaultProceedOn)},
		{"own", Program{Name: "m", Priority: &ten, ProceedOn: &none}, []chain.RunConfig{run(&twenty, &drop)}, member(10, 0)},
		{"first source", Program{Name: "m"}, []chain.RunConfig{{Priority: &twenty}, run(&ten, &drop)}, member(20, drop)},
		{"last source", Program{Name: "m"}, []chain.RunConfig{{}, run(&ten, &drop)}, member(10, drop)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.program.WithDefaults("f", tt.sources...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
