// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// catalogOf makes a folder of catalog files, by name.
func catalogOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(filepath.Dir(plugintest.File(t, "empty", nil)), "programs.d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// allowing is a policy with the defaults of everything but the names.
func allowing(names ...string) fields { return fields{"allow": names} }

// annotated is what the pod's annotation and the network's policy add to a
// configuration, as a runtime hands it over.
func annotated(text string, policy fields, more fields) fields {
	all := fields{
		"capabilities":  fields{plugintest.PodAnnotations: true},
		"runtimeConfig": fields{plugintest.PodAnnotations: fields{"example.com/other": "drop", plugintest.Annotation: text}},
		"annotations":   policy,
	}
	maps.Copy(all, more)
	return all
}

// A pod's own choice, through each runtime: its packets meet the members of the
// conflist and those of the annotation by their priorities, and a pod beside it without
// the annotation is as before.
func TestAnnotationThroughRuntimes(t *testing.T) {
	testenv.ShardByKernel(t, 0)
	const port = 7777
	catalog := catalogOf(t, map[string]string{"10-closer.yaml": fmt.Sprintf(`
name: closer
object: %s
function: second
priority: 150
globals: {limit: 1}
settable: {limit: {min: 0, max: 1}}
`, object(t, "two.o"))})
	for _, r := range runtimes[:orShort(len(runtimes), 1)] {
		for _, f := range someFamilies() {
			t.Run(r.name+"/"+f.name, func(t *testing.T) {
				testenv.NoLeaks(t)
				list := pluginList(t, "ptp", "1.0.0", f, ours(fields{
					"capabilities": fields{plugintest.PodAnnotations: true}, "catalogDir": catalog,
					"annotations": allowing("closer", "ratelimit"),
				}, fields{"name": "count", "priority": 300}, closing(10)))
				runtime := r.make(t, list)
				for _, tt := range []struct {
					annotation string
					members    []string
					through    bool
				}{
					{"", []string{"acl", "count"}, true},
					{"closer", []string{"acl", "closer", "count"}, false},
					// What waited for the neighbour comes at once: more than the default burst.
					{"[{name: closer, priority: 101, globals: {limit: 0}}, {name: ratelimit, globals: {burst: 1000}}]", []string{"acl", "closer", "ratelimit", "count"}, true},
				} {
					annotations := map[string]string{plugintest.Annotation: tt.annotation, "example.com/other": "closer"}
					if tt.annotation == "" {
						annotations = nil
					}
					p := startWith(t, runtime, annotations)
					p.ID = runtime.containerID(p)
					if diff := cmp.Diff(tt.members, p.ChainOn(t, "pod").MemberNames()); diff != "" {
						t.Errorf("%q: members (-want +got):\n%s", tt.annotation, diff)
					}
					if err := runtime.check(p); err != nil {
						t.Errorf("%q: CHECK: %s", tt.annotation, plugintest.Describe(err))
					}
					open := listen(t, p.NetNS, netip.AddrPortFrom(address(t, p, f), port))
					if tt.through {
						reach(t, "", open)
					} else if !dropsSome(t, p, open) {
						t.Errorf("%q: the pod's choice dropped nothing", tt.annotation)
					}
					wantThrough(t, "", open, 5, tt.through)
					if t.Failed() {
						t.Logf("%q: the chain counted %+v", tt.annotation, p.StatsOn(t, "pod"))
					}
					if err := runtime.del(p); err != nil {
						t.Errorf("%q: DEL: %s", tt.annotation, plugintest.Describe(err))
					}
				}
			})
		}
	}
}

// Without the capability no runtime hands annotations over.
func TestAnnotationWithoutCapability(t *testing.T) {
	testenv.NoLeaks(t)
	list := pluginList(t, "ptp", "1.0.0", families[0], ours(fields{"annotations": allowing("drop")}, fields{"name": "count"}))
	p := startWith(t, newLibcni(t, list), map[string]string{plugintest.Annotation: "[{name: drop, priority: 100}]"})
	if diff := cmp.Diff([]string{"count"}, p.ChainOn(t, "pod").MemberNames()); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

// What a runtime shows of a refusal is the whole sentence, and the address is free again
// after its DEL.
func TestAnnotationRefusedThroughLibcni(t *testing.T) {
	testenv.NoLeaks(t)
	list := pluginList(t, "ptp", "1.0.0", families[0], ours(fields{
		"capabilities": fields{plugintest.PodAnnotations: true}, "annotations": allowing("count"),
	}, fields{"name": "acl"}))
	r := newLibcni(t, list)
	p := plugintest.NewPod(t)
	p.Annotations = map[string]string{plugintest.Annotation: "count, drop"}
	err := r.add(p)
	if err == nil {
		t.Fatal("ADD succeeded")
	}
	const want = `refused by policy: annotation xdp-chain.io/programs: program "drop" is not allowed; allowed: count`
	var said *types.Error
	if !errors.As(err, &said) || said.Code != 102 || said.Msg != want || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error is %v\nwant code 102, %q", err, want)
	}
	if err := r.del(p); err != nil {
		t.Errorf("DEL: %s", plugintest.Describe(err))
	}
	dataDir := list["plugins"].([]fields)[0]["ipam"].(fields)["dataDir"].(string)
	if left := glob(t, filepath.Join(dataDir, plugintest.Network, "10.*")); len(left) != 0 {
		t.Errorf("addresses still taken: %v", left)
	}
}

// All that an annotation can say, and the chain that comes of it.
func TestAnnotationForms(t *testing.T) {
	testenv.KernelIndependent(t)
	catalog := catalogOf(t, map[string]string{
		"drop.yaml":  "name: drop\npriority: 140\nproceedOn: [drop]\n",
		"pass.json":  `{"name": "pass", "priority": 120}`, // not *.yaml: not looked at
		"count.yaml": `{"name": "count", "priority": 130}`,
	})
	tests := []struct {
		name, annotation string
		want             []string // name:priority behind acl:20
	}{
		{"none", "", nil},
		{"blank", " \n ", nil},
		{"empty list", "[]", nil},
		{"one", "count", []string{"count:130"}},
		{"names", " drop ,count", []string{"count:130", "drop:140"}},
		{"list of names", "[drop, count]", []string{"count:130", "drop:140"}},
		{"block list", "- drop\n- name: count\n  priority: 141\n", []string{"drop:140", "count:141"}},
		{"JSON", `[{"name": "pass", "priority": 199}, {"name": "count"}]`, []string{"count:130", "pass:199"}},
		{"equal priorities", "[{name: pass, priority: 150}, {name: drop, priority: 150}, {name: count, priority: 150}]", []string{"count:150", "drop:150", "pass:150"}},
		{"globals", `[{name: ratelimit, globals: {pps: "0x10", burst: 5}}]`, []string{"ratelimit:110"}},
		{"comment", "# why\n- count # mine\n", []string{"count:130"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := plugintest.WiredPod(t, 0)
			conf := p.Chained(annotated(tt.annotation, allowing("count", "drop", "pass", "ratelimit"), fields{"catalogDir": catalog}), closing(20))
			p.Must(t, "ADD", conf)
			p.Must(t, "CHECK", conf)
			var got []string
			for _, m := range p.ChainOn(t, "pod").Members[1:] {
				got = append(got, fmt.Sprintf("%s:%d", m.Name, m.Priority))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			p.Must(t, "ADD", conf)
			if got := p.ChainOn(t, "pod").Generation; got != 1 {
				t.Errorf("the same ADD again made generation %d", got)
			}
			p.Must(t, "DEL", conf)
		})
	}
}

// The network's side is that of the programs of annotations.
func TestAnnotationSide(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	conf := p.Chained(annotated("[{name: count, priority: 100}]", allowing("count"), fields{"side": "host"}), fields{"name": "acl", "side": "pod"})
	p.Must(t, "ADD", conf)
	if diff := cmp.Diff([]string{"count"}, p.ChainOn(t, "host").MemberNames()); diff != "" {
		t.Errorf("members on the host's side (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"acl"}, p.ChainOn(t, "pod").MemberNames()); diff != "" {
		t.Errorf("members on the pod's side (-want +got):\n%s", diff)
	}
	p.Must(t, "DEL", conf)
}

// A second ADD with another annotation changes the chain in one swap.
func TestAnnotationChanges(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	asking := func(text string) fields {
		return p.Chained(annotated(text, allowing("count", "pass"), nil), fields{"name": "acl"})
	}
	for generation, step := range []struct {
		annotation string
		want       []string
	}{
		{"", []string{"acl"}},
		{"[{name: count, priority: 100}]", []string{"acl", "count"}},
		{"[{name: pass, priority: 100}, {name: count, priority: 101}]", []string{"acl", "pass", "count"}},
		{"", []string{"acl"}},
	} {
		p.Must(t, "ADD", asking(step.annotation))
		c := p.ChainOn(t, "pod")
		if diff := cmp.Diff(step.want, c.MemberNames()); diff != "" || c.Generation != uint64(generation+1) {
			t.Errorf("%q: generation %d, members (-want +got):\n%s", step.annotation, c.Generation, diff)
		}
		p.Must(t, "CHECK", asking(step.annotation))
	}
	p.Refuse(t, "CHECK", asking("[{name: count, priority: 100}]"), 999, `"count"`, "missing")

	// One that is refused leaves the chain that was there.
	p.Refuse(t, "ADD", asking("drop"), 102, "drop")
	if diff := cmp.Diff([]string{"acl"}, p.ChainOn(t, "pod").MemberNames()); diff != "" {
		t.Errorf("members after a refused ADD (-want +got):\n%s", diff)
	}
	p.Must(t, "DEL", asking("drop"))
}

// A pod whose namespace is excluded asks in vain, whatever it asks for; so does every pod
// of a network without a policy.
func TestAnnotationIgnored(t *testing.T) {
	for name, more := range map[string]fields{
		"namespace excluded": {"namespaces": fields{"exclude": []string{"shop"}}},
		"no policy":          {"annotations": nil},
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := plugintest.WiredPod(t, 0)
			conf := p.Chained(annotated("absurd\x01: [", allowing("count"), more))
			p.Must(t, "ADD", conf)
			if sides := chainedSides(t, p); sides != nil {
				t.Errorf("a chain on %v", sides)
			}
			p.Must(t, "CHECK", conf)
			p.Must(t, "DEL", conf)
		})
	}
}

// dropsSome sends datagrams until the pod's choice has dropped one: before neighbours
// know each other none arrives.
func dropsSome(t *testing.T, p *plugintest.Pod, l *listener) bool {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		wantThrough(t, "", l, 1, false)
		if p.StatsOn(t, "pod").Packets("closer", "drop") > 0 {
			return true
		}
	}
	return false
}
