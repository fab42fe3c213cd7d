// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// A refusal comes before anything is touched, and the catalog's entry is what the chain
// gets and the record remembers.
func TestApplyFromCatalog(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	c, dir := nodetest.Catalog(t,
		nodetest.Entry(t, "drop", "runconfig.o", "priority: 7\nproceedOn: [pass, tx]\ntransmits: true\nfunction: silent"))
	p.Catalog = c
	p.PeerNapi = config.PeerNapiOff // kernels before 5.13 want a program at the other end

	p.Programs = []config.Program{{Name: "count"}, nodetest.Asked(nodetest.At(5, "drop"))}
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, config.ErrPolicy) {
		t.Fatalf("got %v, want an ErrPolicy", err)
	}
	if p.Chain(t, n, config.PodSide) != nil {
		t.Error("a chain is left")
	}

	p.Apply(t, n, config.Program{Name: "count", Priority: new(5)}, nodetest.Asked(config.Program{Name: "drop"}))
	rec, err := n.Records.Load(p.Chain(t, n, config.PodSide).Key)
	if err != nil {
		t.Fatal(err)
	}
	got := rec.State.Members[1]
	want := chain.Member{Name: "drop", Function: "silent", Priority: 7, ProceedOn: chain.ActionSetOf(chain.Pass, chain.TX)}
	if diff := cmp.Diff(want, got.Member); diff != "" {
		t.Errorf("member (-want +got):\n%s", diff)
	}
	origin := nodetest.Objects(t, "runconfig.o") + ", by " + filepath.Join(dir, "0.yaml")
	if got.Origin != origin || !got.Transmits {
		t.Errorf("origin %q, transmits %t; want %q, true", got.Origin, got.Transmits, origin)
	}
	if rec.State.Members[0].Origin != "built-in count" || rec.State.Members[0].Transmits {
		t.Errorf("the built-in is of %q, transmits %t", rec.State.Members[0].Origin, rec.State.Members[0].Transmits)
	}
	p.Remove(t, n)
}

// Two networks may share an interface: the pods of one do not get around the other's
// programs.
func TestPolicyAmongNetworks(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.At(20, "acl"))
	c, _ := nodetest.Catalog(t, "name: pass\nproceedOn: []\n")
	other := *p
	other.Network, other.Catalog = "other", c
	other.Programs = []config.Program{nodetest.Asked(nodetest.At(10, "pass"))}
	if err := n.Apply(t.Context(), other.Attachment); !errors.Is(err, config.ErrPolicy) {
		t.Errorf("got %v, want an ErrPolicy", err)
	}
	other.Apply(t, n, nodetest.Asked(nodetest.At(30, "pass")))
	other.Remove(t, n)
	p.Remove(t, n)
}

// It does not matter who comes first: what one network's pods have asked for stands before
// no program of the other's either, and a clash of names is no fault of the configuration's.
func TestPolicyAmongNetworksTheOtherWayRound(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	c, _ := nodetest.Catalog(t, "name: pass\nproceedOn: []\n")
	p.Catalog = c
	p.Apply(t, n, nodetest.Asked(nodetest.At(10, "pass")))
	other := *p
	other.Network, other.Catalog = "other", nil
	for _, want := range [][]config.Program{{nodetest.At(20, "acl")}, {nodetest.At(5, "pass")}} {
		other.Programs = want
		if err := n.Apply(t.Context(), other.Attachment); !errors.Is(err, config.ErrPolicy) || !strings.Contains(err.Error(), `"pass"`) {
			t.Errorf("%s: got %v, want an ErrPolicy", want[0].Name, err)
		}
	}
	other.Apply(t, n, nodetest.At(5, "acl"))
	other.Remove(t, n)
	p.Remove(t, n)
}

// A pod's choice does not take the network's programs out of native mode: where the MTU is
// too large for one without frags, it is refused, and a network's own may take it.
func TestAnnotationKeepsNative(t *testing.T) {
	testenv.NeedKernel(t, testenv.HaveFrags())
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 9000)
	c, _ := nodetest.Catalog(t, nodetest.Entry(t, "noticer", "globals.o", "function: globals"))
	p.Catalog = c
	noticer := nodetest.At(110, "noticer")

	p.Programs = []config.Program{nodetest.At(20, "drop"), nodetest.Asked(noticer)}
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, config.ErrPolicy) || !strings.Contains(err.Error(), "generic") {
		t.Errorf("got %v, want an ErrPolicy that says why", err)
	}
	if p.Chain(t, n, config.PodSide) != nil {
		t.Error("a chain is left")
	}
	for _, tt := range []struct {
		wants []config.Program
		mode  chain.Mode
	}{
		{[]config.Program{nodetest.At(20, "drop"), nodetest.Asked(nodetest.At(110, "count"))}, chain.ModeNative},
		{[]config.Program{nodetest.At(20, "drop"), noticer}, chain.ModeGeneric},
		{[]config.Program{noticer, nodetest.Asked(nodetest.At(120, "count"))}, chain.ModeGeneric},
		{[]config.Program{nodetest.Asked(noticer)}, chain.ModeGeneric},
	} {
		p.Apply(t, n, tt.wants...)
		if got := p.Attached(t, config.PodSide).Mode; got != tt.mode {
			t.Errorf("%v: mode %s, want %s", tt.wants, got, tt.mode)
		}
		p.Remove(t, n)
	}
}

// A pod's choice does not take the network's programs off the link that holds them
// against root in the pod, nor their counters. Where they have none it may go with them.
func TestAnnotationKeepsTheDispatcher(t *testing.T) {
	testenv.NoLeaks(t)
	n := node.Default()
	unlicensed := func(name string) config.Program {
		return config.Program{Name: name, Object: nodetest.Objects(t, "plain.o")}
	}
	c, _ := nodetest.Catalog(t, nodetest.Entry(t, "unlicensed", "plain.o", ""))
	tests := []struct {
		name    string
		attach  chain.Attach
		wants   []config.Program
		refused bool
	}{
		{"takes it off", chain.AttachAuto, []config.Program{{Name: "count"}, nodetest.Asked(nodetest.At(100, "unlicensed"))}, true},
		{"takes it off the other way round", chain.AttachAuto, []config.Program{unlicensed("own"), nodetest.Asked(nodetest.At(100, "count"))}, true},
		{"would take it off", chain.AttachLink, []config.Program{{Name: "count"}, nodetest.Asked(nodetest.At(100, "unlicensed"))}, true},
		{"of the same licence", chain.AttachAuto, []config.Program{unlicensed("own"), nodetest.Asked(nodetest.At(100, "unlicensed"))}, false},
		{"takes its counters", chain.AttachNetlink, []config.Program{{Name: "count"}, nodetest.Asked(nodetest.At(100, "unlicensed"))}, true},
		{"none to be had", chain.AttachAuto, []config.Program{{Name: "count"}, unlicensed("own"), nodetest.Asked(nodetest.At(100, "pass"))}, false},
		{"alone", chain.AttachAuto, []config.Program{nodetest.Asked(nodetest.At(100, "count")), nodetest.Asked(nodetest.At(100, "unlicensed"))}, false},
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

	p := nodetest.NewPod(t, 0)
	p.Catalog, p.Programs = c, tests[0].wants
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, config.ErrPolicy) || !strings.Contains(err.Error(), "licences") {
		t.Errorf("got %v, want an ErrPolicy that says why", err)
	}
	if p.Chain(t, n, config.PodSide) != nil {
		t.Error("a chain is left")
	}
}

func TestStatusOfTheCatalog(t *testing.T) {
	testenv.NoLeaks(t)
	n := node.Default()
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
		{"the kernel refuses it", []string{nodetest.Entry(t, "mine", "../../dispatcher/internal/chaintest/testdata/refused.o", "")}, []config.Program{{Name: "acl"}}, []string{"mine"}, nil, []string{"mine"}},
		{"one that the configuration lists too", nil, []config.Program{{Name: "count"}, nodetest.OnHost(config.Program{Name: "drop"})}, []string{"count", "drop"}, nil, nil},
		{"only behind", []string{"name: drop\ntransmits: true\npriority: 0"}, []config.Program{{Name: "count"}}, []string{"drop"}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := nodetest.Catalog(t, tt.entries...)
			err := n.Status(t.Context(), resolve.Attachment{Programs: tt.programs, Catalog: c, Counters: true}, tt.allowed...)
			if tt.err != nil && !errors.Is(err, tt.err) || (err == nil) != (len(tt.says) == 0) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			nodetest.WantWords(t, fmt.Sprint(err), tt.says...)
		})
	}
}
