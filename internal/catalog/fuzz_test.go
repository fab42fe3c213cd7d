// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/strict"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// FuzzPrograms hands annotations to policies. Whatever comes, what is accepted gives a
// pod's author no more than the policy and the catalog let out of hand, and a network's
// own programs are not touched.
func FuzzPrograms(f *testing.F) {
	for _, annotation := range []string{
		"rate, log", "- rate\n- {name: log, priority: 120}\n", `[{"name": "rate", "priority": 150, "globals": {"pps": 7, "wide": "0xffffffffffffffff", "level": "low"}}]`,
		"[{name: acl, object: /x, priority: 1}]", "- &a rate\n- *a\n", "plain,early", "\"r\\u0430te\"", "[{name: plain, priority: 9, globals: {pps: 1e3}}, broken, absent]",
	} {
		f.Add(annotation, rules)
		f.Add(annotation, `{"allow": ["rate", "log", "early", "acl"], "priorities": {"min": 0, "max": 2147483647}, "max": 64}`)
	}
	c := shelf(f)
	f.Fuzz(func(t *testing.T, annotation, document string) {
		p := new(config.Policy)
		if json.Unmarshal([]byte(document), p) != nil {
			return
		}
		own := slices.Clone(always)
		programs, err := c.Programs(p, annotation, own)
		if diff := cmp.Diff(always, own); diff != "" {
			t.Fatalf("the network's programs changed:\n%s", diff)
		}
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if len(programs) > p.Max {
			t.Errorf("%d programs, at most %d are allowed", len(programs), p.Max)
		}
		names := make(map[string]bool)
		for _, program := range programs {
			if names[program.Name] {
				t.Errorf("two programs named %q", program.Name)
			}
			names[program.Name] = true
			checkGuest(t, p, c, &program)
		}
	})
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, config.ErrPolicy) && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrBroken) {
		t.Fatalf("error %#v", err)
	}
	if text := err.Error(); len(text) > 64<<10 || !utf8.ValidString(text) || !strings.Contains(text, Annotation) {
		t.Errorf("message %q", text)
	}
}

// checkGuest checks what a policy guarantees about each program of an annotation.
func checkGuest(t *testing.T, p *config.Policy, c *Catalog, program *config.Program) {
	t.Helper()
	if !slices.Contains(p.Allow, program.Name) {
		t.Errorf("program %q is not allowed", program.Name)
	}
	if slices.ContainsFunc(always, func(own config.Program) bool { return own.Name == program.Name }) {
		t.Errorf("program %q is the network's", program.Name)
	}
	// Name, Priority, Globals and Band are all that it has.
	bare := config.Program{Name: program.Name, Priority: program.Priority, Globals: program.Globals, Band: &p.Priorities}
	if diff := cmp.Diff(bare, *program); diff != "" {
		t.Errorf("program %q has more than a pod can give:\n%s", program.Name, diff)
	}
	if program.Priority != nil && (*program.Priority < p.Priorities.Min || *program.Priority > p.Priorities.Max) {
		t.Errorf("priority %d is not in the band", *program.Priority)
	}
	e, err := c.Entry(program.Name)
	if err != nil {
		t.Fatal(err)
	}
	member := program.WithDefaults("", chain.RunConfig{Priority: e.Priority, ProceedOn: e.ProceedOn})
	if e.Priority != nil && (member.Priority < p.Priorities.Min || member.Priority > p.Priorities.Max) {
		t.Errorf("the member's priority %d is not in the band", member.Priority)
	}
	for name, value := range program.Globals {
		checkWithin(t, name, e.Settable[name], value)
	}
}

// checkWithin checks a value against its setting in another way than Accept does.
func checkWithin(t *testing.T, name string, s Setting, value json.RawMessage) {
	t.Helper()
	if s.Min == nil {
		if !slices.ContainsFunc(s.Values, func(v json.RawMessage) bool { return string(v) == string(value) }) {
			t.Errorf("global %q is %s, which is none of the values", name, value)
		}
		return
	}
	n, ok := new(big.Int).SetString(strings.Trim(string(value), `"`), 10)
	if !ok || n.Cmp(s.Min) < 0 || n.Cmp(s.Max) > 0 {
		t.Errorf("global %q is %s, which is not within the bounds", name, value)
	}
}

// FuzzEntry hands texts to what reads catalog files. What is accepted can be used.
func FuzzEntry(f *testing.F) {
	for _, text := range []string{full, "name: acl\n", "name: acl\nobject: x\n", "{\n\t\"name\": \"b\", \"x", "name: a\nsettable: {x: {values: [1]}}\n", "- name: x\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, name := range claimedNames("/x.yaml", text) {
			if len(name) > len(text)+len("x") {
				t.Errorf("claimed is %q", name)
			}
		}
		e, err := decode(text, "/x.yaml")
		if err != nil {
			if faults, ok := errors.AsType[strict.Faults](err); !ok || faults[0].Line < 1 {
				t.Fatalf("error %#v", err)
			}
			return
		}
		if e.File != "/x.yaml" || e.Origin == "" || (e.Object == "") == (e.Content == nil) {
			t.Errorf("an entry of %s, object %q, %d bytes", e.Origin, e.Object, len(e.Content))
		}
		p := config.Program{Name: e.Name, Object: e.Object, Priority: e.Priority, ProceedOn: e.ProceedOn}
		if err := p.Check(); err != nil {
			t.Errorf("accepted: %v", err)
		}
		for name, s := range e.Settable {
			for _, value := range s.Extremes() {
				if _, ok := s.Accept(value); !ok {
					t.Errorf("settable %q does not let %s through", name, value)
				}
			}
		}
	})
}
