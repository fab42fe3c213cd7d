// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// catalogOf makes a catalog of entries, each a file's text, and returns its folder too.
func catalogOf(t *testing.T, entries ...string) (*catalog.Catalog, string) {
	t.Helper()
	dir := t.TempDir()
	for i, entry := range entries {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), []byte(entry), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := catalog.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

// entryOf is the text of an entry over one of package object's test objects.
func entryOf(t *testing.T, name, file, more string) string {
	return fmt.Sprintf("name: %s\nobject: %s\n%s", name, absolute(t, "../../pkg/object/testdata/"+file), more)
}

// at is a program with a priority.
func at(priority int, name string) config.Program {
	return config.Program{Name: name, Priority: &priority}
}

// asked is a program of a pod's annotation, where the whole range of priorities up to
// 199 is the network's band.
func asked(p config.Program) config.Program {
	p.Band = &config.Band{Min: 0, Max: 199}
	return p
}

func from100(p config.Program) config.Program {
	p.Band = &config.Band{Min: 100, Max: 199}
	return p
}

// What a pod's annotation names is judged once more when its object is known.
func TestPolicyOnSettledMembers(t *testing.T) {
	final := "name: pass\nproceedOn: [drop]\n"
	sends := "name: pass\ntransmits: true\n"
	globals := func(settable string) string {
		return entryOf(t, "tuned", "globals.o", "function: globals\nsettable: {"+settable+"}")
	}
	tests := []struct {
		name    string
		entries []string
		wants   []config.Program
		err     error // nil: it is taken
		says    []string
	}{
		{"default priority", nil, []config.Program{from100(config.Program{Name: "drop"})}, config.ErrPolicy, []string{"priority 50", "100 to 199", "gives none"}},
		{"own priority", nil, []config.Program{from100(at(99, "drop"))}, config.ErrPolicy, []string{`"drop"`, "priority 99", "100 to 199"}},
		{"priority in the band", nil, []config.Program{from100(at(100, "drop"))}, nil, nil},
		{
			"object's own priority",
			[]string{entryOf(t, "configured", "runconfig.o", "function: both")},
			[]config.Program{from100(config.Program{Name: "configured"})},
			config.ErrPolicy,
			[]string{"priority 10", "100 to 199"},
		},
		{
			"object's own priority over the catalog's",
			[]string{entryOf(t, "configured", "runconfig.o", "function: both\npriority: 150")},
			[]config.Program{from100(config.Program{Name: "configured"})},
			nil,
			nil,
		},

		{"drops in front", nil, []config.Program{at(20, "acl"), asked(at(10, "drop"))}, nil, nil},
		{"lets by in front", []string{final}, []config.Program{at(20, "acl"), asked(at(10, "pass"))}, config.ErrPolicy, []string{`"pass" (priority 10)`, `"acl" (priority 20)`, "proceed on pass"}},
		{"lets by behind", []string{final}, []config.Program{at(20, "acl"), asked(at(30, "pass"))}, nil, nil},
		{"lets by between", []string{final}, []config.Program{at(20, "acl"), asked(at(30, "pass")), at(40, "count")}, config.ErrPolicy, []string{`"count" (priority 40)`}},
		{"lets by, equal, name first", []string{final}, []config.Program{at(30, "ratelimit"), asked(at(30, "pass"))}, config.ErrPolicy, []string{`"ratelimit"`}},
		{"lets by, equal, name last", []string{final}, []config.Program{at(30, "acl"), asked(at(30, "pass"))}, nil, nil},
		{"sends in front", []string{sends}, []config.Program{at(20, "acl"), asked(at(10, "pass"))}, config.ErrPolicy, []string{"sends packets itself"}},
		{"sends behind", []string{sends}, []config.Program{at(20, "acl"), asked(at(30, "pass"))}, nil, nil},
		{"lets by in front of another pod's choice", []string{final}, []config.Program{asked(at(20, "acl")), asked(at(10, "pass"))}, nil, nil},
		{"lets by on the other side", []string{final}, []config.Program{onHost(at(20, "acl")), asked(at(10, "pass"))}, nil, nil},
		{"the network's own lets by", []string{final}, []config.Program{asked(at(20, "acl")), at(10, "pass")}, nil, nil},

		{"bounds fit", []string{globals("u8: {min: 0, max: 255}, s16: {min: -32768, max: 32767}, color: {min: 0, max: 7}")}, []config.Program{asked(config.Program{Name: "tuned"})}, nil, nil},
		{"values fit", []string{globals(`color: {values: [RED, BLUE]}, flag: {values: [true]}, ip: {values: ["10.0.0.1", "${pod.ip}"]}`)}, []config.Program{asked(config.Program{Name: "tuned"})}, nil, nil},
		{"no such variable", []string{globals("speed: {min: 1, max: 2}")}, []config.Program{asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"0.yaml", "settable", "global speed", "no such variable"}},
		{"upper bound does not fit", []string{globals("u8: {min: 0, max: 256}")}, []config.Program{asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"0.yaml", "settable", "global u8", "256", "0 to 255"}},
		{"lower bound does not fit", []string{globals("u8: {min: -1, max: 255}")}, []config.Program{asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"global u8", "-1"}},
		{"bounds of a text", []string{globals("name: {min: 1, max: 2}")}, []config.Program{asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"global name", "char[8]"}},
		{"bounds of a switch", []string{globals("flag: {min: 0, max: 1}")}, []config.Program{asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"global flag", "true or false"}},
		{"a value does not fit", []string{globals("color: {values: [RED, PINK]}")}, []config.Program{asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"settable", "global color", "PINK"}},
		{"the network's own has nothing settable", []string{globals("speed: {min: 1, max: 2}")}, []config.Program{{Name: "tuned"}}, nil, nil},

		{"object missing", []string{"name: tuned\nobject: /nowhere/tuned.o"}, []config.Program{asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"0.yaml", "/nowhere/tuned.o"}},
		{"function missing", []string{entryOf(t, "tuned", "several.o", "")}, []config.Program{asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"0.yaml", "several.o"}},
		{"the entry's own global does not fit", []string{entryOf(t, "tuned", "globals.o", "function: globals\nglobals: {u8: 256}")}, []config.Program{asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"0.yaml", "global u8"}},
		{"unknown", nil, []config.Program{asked(config.Program{Name: "tuned"})}, catalog.ErrUnknown, []string{`"tuned"`}},
		{"broken", []string{"name: acl\npriority: first"}, []config.Program{{Name: "acl"}}, catalog.ErrBroken, []string{"0.yaml:2", "priority"}},
		{"broken, and not needed", []string{"name: acl\npriority: first"}, []config.Program{{Name: "count"}}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := catalogOf(t, tt.entries...)
			_, err := Preview(resolve.Attachment{Programs: tt.wants, Catalog: c})
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			for _, words := range tt.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("got %q, want it to say %q", err, words)
				}
			}
		})
	}
}

// A refusal comes before anything is touched, and the catalog's entry is what the chain
// gets and the record remembers.
func TestApplyFromCatalog(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	c, dir := catalogOf(t,
		entryOf(t, "drop", "runconfig.o", "priority: 7\nproceedOn: [pass, tx]\ntransmits: true\nfunction: silent"))
	p.Catalog = c
	p.PeerNapi = config.PeerNapiOff // kernels before 5.13 want a program at the other end

	p.Programs = []config.Program{{Name: "count"}, asked(at(5, "drop"))}
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, config.ErrPolicy) {
		t.Fatalf("got %v, want an ErrPolicy", err)
	}
	if p.chain(t, n, config.PodSide) != nil {
		t.Error("a chain is left")
	}

	p.apply(t, n, config.Program{Name: "count", Priority: new(5)}, asked(config.Program{Name: "drop"}))
	rec, err := n.Records.Load(p.chain(t, n, config.PodSide).Key)
	if err != nil {
		t.Fatal(err)
	}
	got := rec.State.Members[1]
	want := chain.Member{Name: "drop", Function: "silent", Priority: 7, ProceedOn: chain.ActionSetOf(chain.Pass, chain.TX)}
	if diff := cmp.Diff(want, got.Member); diff != "" {
		t.Errorf("member (-want +got):\n%s", diff)
	}
	origin := absolute(t, "../../pkg/object/testdata/runconfig.o") + ", by " + filepath.Join(dir, "0.yaml")
	if got.Origin != origin || !got.Transmits {
		t.Errorf("origin %q, transmits %t; want %q, true", got.Origin, got.Transmits, origin)
	}
	if rec.State.Members[0].Origin != "built-in count" || rec.State.Members[0].Transmits {
		t.Errorf("the built-in is of %q, transmits %t", rec.State.Members[0].Origin, rec.State.Members[0].Transmits)
	}
	p.remove(t, n)
}

// Two networks may share an interface: the pods of one do not get around the other's
// programs.
func TestPolicyAmongNetworks(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, at(20, "acl"))
	c, _ := catalogOf(t, "name: pass\nproceedOn: []\n")
	other := *p
	other.Network, other.Catalog = "other", c
	other.Programs = []config.Program{asked(at(10, "pass"))}
	if err := n.Apply(t.Context(), other.Attachment); !errors.Is(err, config.ErrPolicy) {
		t.Errorf("got %v, want an ErrPolicy", err)
	}
	other.apply(t, n, asked(at(30, "pass")))
	other.remove(t, n)
	p.remove(t, n)
}

// It does not matter who comes first: what one network's pods have asked for stands before
// no program of the other's either, and a clash of names is no fault of the configuration's.
func TestPolicyAmongNetworksTheOtherWayRound(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	c, _ := catalogOf(t, "name: pass\nproceedOn: []\n")
	p.Catalog = c
	p.apply(t, n, asked(at(10, "pass")))
	other := *p
	other.Network, other.Catalog = "other", nil
	for _, want := range [][]config.Program{{at(20, "acl")}, {at(5, "pass")}} {
		other.Programs = want
		if err := n.Apply(t.Context(), other.Attachment); !errors.Is(err, config.ErrPolicy) || !strings.Contains(err.Error(), `"pass"`) {
			t.Errorf("%s: got %v, want an ErrPolicy", want[0].Name, err)
		}
	}
	other.apply(t, n, at(5, "acl"))
	other.remove(t, n)
	p.remove(t, n)
}

// A pod's choice does not take the network's programs out of native mode: where the MTU is
// too large for one without frags, it is refused, and a network's own may take it.
func TestAnnotationKeepsNative(t *testing.T) {
	testenv.NeedKernel(t, testenv.HaveFrags())
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 9000)
	c, _ := catalogOf(t, entryOf(t, "noticer", "globals.o", "function: globals"))
	p.Catalog = c
	noticer := at(110, "noticer")

	p.Programs = []config.Program{at(20, "drop"), asked(noticer)}
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, config.ErrPolicy) || !strings.Contains(err.Error(), "generic") {
		t.Errorf("got %v, want an ErrPolicy that says why", err)
	}
	if p.chain(t, n, config.PodSide) != nil {
		t.Error("a chain is left")
	}
	for _, tt := range []struct {
		wants []config.Program
		mode  chain.Mode
	}{
		{[]config.Program{at(20, "drop"), asked(at(110, "count"))}, chain.ModeNative},
		{[]config.Program{at(20, "drop"), noticer}, chain.ModeGeneric},
		{[]config.Program{noticer, asked(at(120, "count"))}, chain.ModeGeneric},
		{[]config.Program{asked(noticer)}, chain.ModeGeneric},
	} {
		p.apply(t, n, tt.wants...)
		if got := p.attached(t, config.PodSide).Mode; got != tt.mode {
			t.Errorf("%v: mode %s, want %s", tt.wants, got, tt.mode)
		}
		p.remove(t, n)
	}
}

// A pod's choice does not take the network's programs off the link that holds them
// against root in the pod, nor their counters. Where they have none it may go with them.
func TestAnnotationKeepsTheDispatcher(t *testing.T) {
	testenv.NoLeaks(t)
	n := Default()
	unlicensed := func(name string) config.Program {
		return config.Program{Name: name, Object: absolute(t, "../../pkg/object/testdata/plain.o")}
	}
	c, _ := catalogOf(t, entryOf(t, "unlicensed", "plain.o", ""))
	tests := []struct {
		name    string
		attach  chain.Attach
		wants   []config.Program
		refused bool
	}{
		{"takes it off", chain.AttachAuto, []config.Program{{Name: "count"}, asked(at(100, "unlicensed"))}, true},
		{"takes it off the other way round", chain.AttachAuto, []config.Program{unlicensed("own"), asked(at(100, "count"))}, true},
		{"would take it off", chain.AttachLink, []config.Program{{Name: "count"}, asked(at(100, "unlicensed"))}, true},
		{"of the same licence", chain.AttachAuto, []config.Program{unlicensed("own"), asked(at(100, "unlicensed"))}, false},
		{"takes its counters", chain.AttachNetlink, []config.Program{{Name: "count"}, asked(at(100, "unlicensed"))}, true},
		{"none to be had", chain.AttachAuto, []config.Program{{Name: "count"}, unlicensed("own"), asked(at(100, "pass"))}, false},
		{"alone", chain.AttachAuto, []config.Program{asked(at(100, "count")), asked(at(100, "unlicensed"))}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// Without freplace the kernel has no libxdp for those who may have it.
			err := n.Status(t.Context(), resolve.Attachment{Programs: tt.wants, Catalog: c, Requested: config.Requested{Attach: tt.attach}})
			if errors.Is(err, config.ErrPolicy) != tt.refused {
				t.Errorf("got %v; to be refused: %t", err, tt.refused)
			}
		})
	}

	p := newPod(t, 0)
	p.Catalog, p.Programs = c, tests[0].wants
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, config.ErrPolicy) || !strings.Contains(err.Error(), "licences") {
		t.Errorf("got %v, want an ErrPolicy that says why", err)
	}
	if p.chain(t, n, config.PodSide) != nil {
		t.Error("a chain is left")
	}
}

func TestStatusOfTheCatalog(t *testing.T) {
	testenv.NoLeaks(t)
	n := Default()
	tests := []struct {
		name     string
		entries  []string
		programs []config.Program
		allowed  []string
		err      error    // nil: any that says this
		says     []string // nil: all is right
	}{
		{"right", []string{"name: count\npriority: 150"}, []config.Program{{Name: "acl"}}, []string{"count", "ratelimit", "flow-stats"}, nil, nil},
		{"a file is at fault that nobody needs", []string{"name: mine\nprio: 1"}, nil, nil, catalog.ErrBroken, []string{"0.yaml:2", "prio"}},
		{"several are", []string{"name: mine\nprio: 1", "name: [", "name: count"}, nil, []string{"count"}, catalog.ErrBroken, []string{"0.yaml", "1.yaml"}},
		{"an allowed program does not exist", nil, []config.Program{{Name: "acl"}}, []string{"count", "rate-limit"}, catalog.ErrUnknown, []string{`"rate-limit"`}},
		{"its object does not", []string{"name: mine\nobject: /nowhere/mine.o"}, nil, []string{"mine"}, object.ErrUnusable, []string{"0.yaml", "/nowhere/mine.o"}},
		{"its settable does not fit", []string{"name: ratelimit\nsettable: {pps: {min: 1, max: 4294967296}}"}, nil, []string{"ratelimit"}, object.ErrUnusable, []string{"0.yaml", "settable", "global pps"}},
		{"the kernel refuses it", []string{entryOf(t, "mine", "../../dispatcher/internal/chaintest/testdata/refused.o", "")}, []config.Program{{Name: "acl"}}, []string{"mine"}, nil, []string{"mine"}},
		{"one that the configuration lists too", nil, []config.Program{{Name: "count"}, onHost(config.Program{Name: "drop"})}, []string{"count", "drop"}, nil, nil},
		{"only behind", []string{"name: drop\ntransmits: true\npriority: 0"}, []config.Program{{Name: "count"}}, []string{"drop"}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := catalogOf(t, tt.entries...)
			err := n.Status(t.Context(), resolve.Attachment{Programs: tt.programs, Catalog: c, Counters: true}, tt.allowed...)
			if tt.err != nil && !errors.Is(err, tt.err) || (err == nil) != (len(tt.says) == 0) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			for _, words := range tt.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("got %q, want it to say %q", err, words)
				}
			}
		})
	}
}
