// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// loadBefore loads testdata/before.o between others, which counts in steps of two and passes.
func (p *pod) loadBefore(t *testing.T, n *Node) inspect.Member {
	t.Helper()
	l := p.byHand("", 20)
	l.Program.Object, l.Program.Name = absolute(t, "testdata/before.o"), "mine"
	l.Program.Globals = map[string]json.RawMessage{"verdict": []byte("2"), "step": []byte("2")}
	m, err := n.Load(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// first reads the first entry of a pinned map of the member mine.
func (p *pod) first(t *testing.T, n *Node, name string) (value uint64) {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(filepath.Join(n.BPFFS.Root, "xdp-chain/chains", p.listed(t, n).Key.String(), "maps/mine", name), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Lookup(uint32(0), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestReplace(t *testing.T) {
	for _, way := range handWays() {
		t.Run(way.String(), func(t *testing.T) {
			p := way.pod(t)
			testenv.NoLeaks(t)
			n := Default()
			p.load(t, n, "count", 10)
			old := p.loadBefore(t, n)
			p.load(t, n, "drop", 30)
			p.sendByHand(t, n, 3)
			generation := p.listed(t, n).Generation
			next, err := n.Replace(t.Context(), old.ID, resolve.Replacement{Object: absolute(t, "testdata/after.o")})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(old, next, cmpopts.IgnoreFields(inspect.Member{}, "ProgramID", "Member.Function")); diff != "" || next.Function != "after" {
				t.Errorf("it runs %s; %s", next.Function, diff)
			}
			if got := p.listed(t, n).Generation - generation; got != 1 {
				t.Errorf("it took %d swaps", got)
			}
			p.sendByHand(t, n, 2)
			if same, resized := p.first(t, n, "same"), p.first(t, n, "resized"); same != 10 || resized != 4 {
				t.Errorf("its maps say %d and %d, want 10, as it was kept, and 4, as it was made anew", same, resized)
			}
			if names := namesOf(p.running(t, n)); !cmp.Equal(names, []string{"count", "mine", "drop"}) {
				t.Errorf("members %q", names)
			}
			p.unloadAll(t, n)
		})
	}
}

func TestReplaceSetsAnew(t *testing.T) {
	testenv.KernelIndependent(t)
	machineOnly(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	old := p.loadBefore(t, n)
	p.sendByHand(t, n, 3)
	if _, err := n.Replace(t.Context(), old.ID, resolve.Replacement{
		Object:  absolute(t, "testdata/after.o"),
		Globals: map[string]json.RawMessage{"step": []byte("5")},
		Maps:    map[string]config.MapSettings{"same": {Entries: []config.MapEntry{{Key: []byte("0"), Value: []byte("100")}}}},
	}); err != nil {
		t.Fatal(err)
	}
	p.sendByHand(t, n, 1)
	if got := p.first(t, n, "same"); got != 105 {
		t.Errorf("a map for which entries are given says %d, want 100 and a step of 5", got)
	}
	// What was set before stays, and the object's file is not needed any more.
	if _, err := n.Replace(t.Context(), old.ID, resolve.Replacement{Object: absolute(t, "testdata/before.o")}); err != nil {
		t.Fatal(err)
	}
	p.sendByHand(t, n, 1)
	if got := p.first(t, n, "same"); got != 110 {
		t.Errorf("the map says %d, want 110", got)
	}
	// Placeholders stand for what they stand for in a load.
	if _, err := n.Replace(t.Context(), old.ID, resolve.Replacement{
		Object: absolute(t, "testdata/before.o"), Globals: map[string]json.RawMessage{"step": []byte(`"${pod.ifindex}"`)},
	}); err != nil {
		t.Fatal(err)
	}
	p.sendByHand(t, n, 1)
	if got, want := p.first(t, n, "same"), uint64(110+p.listed(t, n).Ifindex); got != want {
		t.Errorf("the map says %d, want %d", got, want)
	}
	p.unloadAll(t, n)
}

// What was set with "$${" stays what it stood for, however often the program is replaced;
// what is set anew is expanded.
func TestReplaceExpandsNothingTwice(t *testing.T) {
	testenv.KernelIndependent(t)
	machineOnly(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	recorded := func() record.Member {
		t.Helper()
		rec, err := n.Records.Load(p.listed(t, n).Key)
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
		{"../../pkg/object/testdata/globals.o", "globals", func(value string) settings { return settings{globals: globals(value)} }},
		{"../../pkg/object/testdata/maps.o", "", func(value string) settings { return settings{maps: entries(value)} }},
	} {
		l, first, anew := p.byHand("", 10), tt.as(`"$${x}"`), tt.as(`"$${y}"`)
		l.Program.Object, l.Program.Function, l.Program.Name = absolute(t, tt.object), tt.function, "mine"
		l.Program.Globals, l.Program.Maps = first.globals, first.maps
		m, err := n.Load(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
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
		p.unloadAll(t, n)
	}
}

func TestReplacementThatIsRefused(t *testing.T) {
	testenv.KernelIndependent(t)
	machineOnly(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	old := p.loadBefore(t, n)
	p.sendByHand(t, n, 3)
	before, onHook := p.listed(t, n), p.attached(t, config.PodSide)
	for _, tt := range []struct {
		name string
		resolve.Replacement
		want error
	}{
		{"for a variable", resolve.Replacement{Object: absolute(t, "../../pkg/object/testdata/plain.o")}, object.ErrUnusable},
		{"for its file", resolve.Replacement{Object: "/nowhere.o"}, object.ErrUnusable},
		{"for its function", resolve.Replacement{Object: absolute(t, "testdata/after.o"), Function: "none"}, object.ErrUnusable},
	} {
		if _, err := n.Replace(t.Context(), old.ID, tt.Replacement); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := n.Replace(t.Context(), p.load(t, n, "pass", 30).ID, resolve.Replacement{Object: absolute(t, "../../pkg/dispatcher/internal/chaintest/testdata/refused.o")}); !errors.As(err, new(*dispatcher.RefusedError)) {
		t.Errorf("by the verifier: %v", err)
	}
	if err := n.Unload(t.Context(), false, p.running(t, n)[1].ID); err != nil {
		t.Fatal(err)
	}
	after := p.listed(t, n)
	if diff := cmp.Diff(before, after, cmpopts.IgnoreFields(inspect.Chain{}, "Generation")); diff != "" || p.first(t, n, "same") != 6 {
		t.Errorf("the old one is not what it was: %s", diff)
	}
	if after.Generation-before.Generation != 2 || onHook.ProgramID == 0 {
		t.Errorf("generation %d after %d", after.Generation, before.Generation)
	}
	p.unloadAll(t, n)
}

// A pod's member is replaced by force alone, CHECK tells, and an ADD puts it back.
func TestReplaceOfOthers(t *testing.T) {
	testenv.KernelIndependent(t)
	machineOnly(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("count", "pass")...)
	id := running(t, n)[1].ID
	r := resolve.Replacement{Entry: "drop"}
	if _, err := n.Replace(t.Context(), id, r); !errors.Is(err, change.ErrOthers) {
		t.Errorf("without force: %v", err)
	}
	p.check(t, n)
	r.Force = true
	m, err := n.Replace(t.Context(), id, r)
	if err != nil || m.Name != "pass" || m.Function != "drop" {
		t.Fatalf("%+v, %v", m, err)
	}
	if err := n.Check(t.Context(), p.Attachment); !errors.Is(err, state.ErrDiffers) {
		t.Errorf("CHECK after it: %v", err)
	}
	p.apply(t, n, programs("count", "pass")...)
	p.check(t, n)
	if m := running(t, n)[1]; m.Function != "pass" || m.ID != id {
		t.Errorf("after an ADD: %+v", m)
	}
	p.remove(t, n)
}

// No packet gets past the chain while a member of it is replaced again and again.
func TestReplaceUnderTraffic(t *testing.T) {
	machineOnly(t)
	for _, way := range ways[:2] { // libxdp's counts nothing
		t.Run(way.String(), func(t *testing.T) {
			p := way.pod(t)
			testenv.NoLeaks(t)
			n := Default()
			p.ContainerID = ""
			m := p.loadBefore(t, n)
			p.load(t, n, "drop", 30)
			sent := p.sendUntil(t, func() {
				for i := range 6 {
					object := absolute(t, []string{"testdata/after.o", "testdata/before.o"}[i%2])
					if _, err := n.Replace(t.Context(), m.ID, resolve.Replacement{Object: object}); err != nil {
						t.Error(err)
					}
				}
			})
			p.counts(t, n, sent)
			want := []chain.Count{{Member: "drop", Verdict: chain.VerdictDrop, Packets: sent}}
			if diff := cmp.Diff(want, p.rows(t, n, config.PodSide)); diff != "" {
				t.Error(diff)
			}
			if got := p.first(t, n, "same"); got != 2*sent {
				t.Errorf("the map that was kept says %d, want %d", got, 2*sent)
			}
			p.unloadAll(t, n)
		})
	}
}
