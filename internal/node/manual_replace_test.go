// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// loadBefore loads testdata/before.o between others, which counts in steps of two and passes.
func loadBefore(t *testing.T, p *nodetest.Pod, n *node.Node) inspect.Member {
	t.Helper()
	l := p.Manual("", 20)
	l.Program.Object, l.Program.Name = nodetest.Testdata(t, "before.o"), "mine"
	l.Program.Globals = map[string]json.RawMessage{"verdict": []byte("2"), "step": []byte("2")}
	m := nodetest.Load(t, n, l)
	return m
}

// first reads the first entry of a pinned map of the member mine.
func first(t *testing.T, p *nodetest.Pod, n *node.Node, name string) uint64 {
	t.Helper()
	return nodetest.PinnedEntry(t, filepath.Join(p.Folder(t, n), "maps/mine", name), 0)
}

func TestReplace(t *testing.T) {
	for _, way := range nodetest.ManualWays() {
		t.Run(way.String(), func(t *testing.T) {
			p := way.Pod(t)
			testenv.NoLeaks(t)
			n := node.Default()
			p.Load(t, n, "count", 10)
			old := loadBefore(t, p, n)
			p.Load(t, n, "drop", 30)
			p.Send(t, n, 3)
			generation := p.Chain(t, n, config.PodSide).Generation
			next, err := n.Replace(t.Context(), old.ID, resolve.Replacement{Object: nodetest.Testdata(t, "after.o")})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(old, next, cmpopts.IgnoreFields(inspect.Member{}, "ProgramID", "Member.Function")); diff != "" || next.Function != "after" {
				t.Errorf("it runs %s; %s", next.Function, diff)
			}
			if got := p.Chain(t, n, config.PodSide).Generation - generation; got != 1 {
				t.Errorf("it took %d swaps", got)
			}
			p.Send(t, n, 2)
			if same, resized := first(t, p, n, "same"), first(t, p, n, "resized"); same != 10 || resized != 4 {
				t.Errorf("its maps say %d and %d, want 10, as it was kept, and 4, as it was made anew", same, resized)
			}
			p.WantMembers(t, n, "count mine drop")
			p.UnloadAll(t, n)
		})
	}
}

func TestReplaceSetsAnew(t *testing.T) {
	testenv.KernelIndependent(t)
	nodetest.MachineOnly(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	old := loadBefore(t, p, n)
	p.Send(t, n, 3)
	if _, err := n.Replace(t.Context(), old.ID, resolve.Replacement{
		Object:  nodetest.Testdata(t, "after.o"),
		Globals: map[string]json.RawMessage{"step": []byte("5")},
		Maps:    map[string]config.MapSettings{"same": {Entries: []config.MapEntry{{Key: []byte("0"), Value: []byte("100")}}}},
	}); err != nil {
		t.Fatal(err)
	}
	p.Send(t, n, 1)
	if got := first(t, p, n, "same"); got != 105 {
		t.Errorf("a map for which entries are given says %d, want 100 and a step of 5", got)
	}
	// What was set before stays, and the object's file is not needed any more.
	if _, err := n.Replace(t.Context(), old.ID, resolve.Replacement{Object: nodetest.Testdata(t, "before.o")}); err != nil {
		t.Fatal(err)
	}
	p.Send(t, n, 1)
	if got := first(t, p, n, "same"); got != 110 {
		t.Errorf("the map says %d, want 110", got)
	}
	// Placeholders stand for what they stand for in a load.
	if _, err := n.Replace(t.Context(), old.ID, resolve.Replacement{
		Object: nodetest.Testdata(t, "before.o"), Globals: map[string]json.RawMessage{"step": []byte(`"${pod.ifindex}"`)},
	}); err != nil {
		t.Fatal(err)
	}
	p.Send(t, n, 1)
	if got, want := first(t, p, n, "same"), uint64(110+p.Chain(t, n, config.PodSide).Ifindex); got != want {
		t.Errorf("the map says %d, want %d", got, want)
	}
	p.UnloadAll(t, n)
}

// What was set with "$${" stays what it stood for, however often the program is replaced;
// what is set anew is expanded.
func TestReplaceExpandsNothingTwice(t *testing.T) {
	testenv.KernelIndependent(t)
	nodetest.MachineOnly(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	recorded := func() record.Member {
		t.Helper()
		rec, err := n.Records.Load(p.Chain(t, n, config.PodSide).Key)
		if err != nil {
			t.Fatal(err)
		}
		return rec.State.Members[0]
	}
	entries := func(value string) map[string]config.MapSettings {
		return map[string]config.MapSettings{"names": {Entries: []config.MapEntry{{Key: []byte(`"02:00:00:00:00:01"`), Value: []byte(value)}}}}
	}
	globals := func(value string) map[string]json.RawMessage {
		return map[string]json.RawMessage{"name": []byte(value)}
	}
	type settings struct {
		globals map[string]json.RawMessage
		maps    map[string]config.MapSettings
	}
	for _, tt := range []struct {
		object   string
		function string
		as       func(value string) settings
	}{
		{"globals.o", "globals", func(value string) settings { return settings{globals: globals(value)} }},
		{"maps.o", "", func(value string) settings { return settings{maps: entries(value)} }},
	} {
		l, first, anew := p.Manual("", 10), tt.as(`"$${x}"`), tt.as(`"$${y}"`)
		l.Program.Object, l.Program.Function, l.Program.Name = nodetest.Objects(t, tt.object), tt.function, "mine"
		l.Program.Globals, l.Program.Maps = first.globals, first.maps
		m := nodetest.Load(t, n, l)
		for _, r := range []struct {
			settings
			want string
		}{{settings{}, `"${x}"`}, {settings{}, `"${x}"`}, {anew, `"${y}"`}, {settings{}, `"${y}"`}} {
			if _, err := n.Replace(t.Context(), m.ID, resolve.Replacement{Object: l.Program.Object, Globals: r.globals, Maps: r.maps}); err != nil {
				t.Fatalf("%s: %v", tt.object, err)
			}
			is, want := recorded(), tt.as(r.want)
			if !state.SameJSON(is.Globals, want.globals) || !state.SameJSON(is.Maps, want.maps) {
				t.Errorf("%s: it has %s and %v, want %s", tt.object, is.Globals, is.Maps, r.want)
			}
		}
		p.UnloadAll(t, n)
	}
}

func TestReplacementThatIsRefused(t *testing.T) {
	testenv.KernelIndependent(t)
	nodetest.MachineOnly(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	old := loadBefore(t, p, n)
	p.Send(t, n, 3)
	before, onHook := p.Chain(t, n, config.PodSide), p.Attached(t, config.PodSide)
	for _, tt := range []struct {
		name string
		resolve.Replacement
		want error
	}{
		{"for a variable", resolve.Replacement{Object: nodetest.Objects(t, "plain.o")}, object.ErrUnusable},
		{"for its file", resolve.Replacement{Object: "/nowhere.o"}, object.ErrUnusable},
		{"for its function", resolve.Replacement{Object: nodetest.Testdata(t, "after.o"), Function: "none"}, object.ErrUnusable},
	} {
		if _, err := n.Replace(t.Context(), old.ID, tt.Replacement); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := n.Replace(t.Context(), p.Load(t, n, "pass", 30).ID, resolve.Replacement{Object: nodetest.Path(t, "pkg/dispatcher/internal/chaintest/testdata/refused.o")}); !errors.As(err, new(*dispatcher.RefusedError)) {
		t.Errorf("by the verifier: %v", err)
	}
	nodetest.Unload(t, n, p.Members(t, n)[1].ID)
	after := p.Chain(t, n, config.PodSide)
	if diff := cmp.Diff(before, after, cmpopts.IgnoreFields(inspect.Chain{}, "Generation")); diff != "" || first(t, p, n, "same") != 6 {
		t.Errorf("the old one is not what it was: %s", diff)
	}
	if after.Generation-before.Generation != 2 || onHook.ProgramID == 0 {
		t.Errorf("generation %d after %d", after.Generation, before.Generation)
	}
	p.UnloadAll(t, n)
}

// A pod's member is replaced by force alone, CHECK tells, and an ADD puts it back.
func TestReplaceOfOthers(t *testing.T) {
	testenv.KernelIndependent(t)
	nodetest.MachineOnly(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("count", "pass")...)
	id := p.Members(t, n)[1].ID
	r := resolve.Replacement{Entry: "drop"}
	if _, err := n.Replace(t.Context(), id, r); !errors.Is(err, change.ErrOthers) {
		t.Errorf("without force: %v", err)
	}
	p.Check(t, n)
	r.Force = true
	m, err := n.Replace(t.Context(), id, r)
	if err != nil || m.Name != "pass" || m.Function != "drop" {
		t.Fatalf("%+v, %v", m, err)
	}
	if err := n.Check(t.Context(), p.Attachment); !errors.Is(err, state.ErrDiffers) {
		t.Errorf("CHECK after it: %v", err)
	}
	p.Apply(t, n, nodetest.Programs("count", "pass")...)
	p.Check(t, n)
	if m := p.Members(t, n)[1]; m.Function != "pass" || m.ID != id {
		t.Errorf("after an ADD: %+v", m)
	}
	p.Remove(t, n)
}
