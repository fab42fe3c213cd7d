// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// policed is what the pods of these tests live under: one program that is always on,
// and some that they may ask for.
func policed(t *testing.T, catalog, text string) fields {
	t.Helper()
	return annotated(text, fields{
		"allow": []string{"count", "ratelimit", "pass", "closed", "absent", "broken", "unfit", "acl", "drop"},
		"max":   3,
	}, fields{"catalogDir": catalog})
}

// refusedAnnotation is an annotation that must be refused.
type refusedAnnotation struct {
	name, text string
	code       uint
	words      []string
}

// explosion is an annotation of a few hundred bytes whose aliases stand for 2^30 names.
func explosion() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [count, count]\n")
	for i := 1; i < 30; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%[3]d]\n", i, i, i-1)
	}
	return b.String()
}

func TestBadAnnotation(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	catalog := catalogOf(t, map[string]string{
		"closed.yaml": "name: closed\nobject: " + object(t, "two.o") + "\nfunction: second\nproceedOn: [drop]\npriority: 10\n",
		"broken.yaml": "name: broken\nobject: /opt/broken.o\nprio: 1\n",
		"unfit.yaml":  "name: unfit\nobject: " + object(t, "two.o") + "\nfunction: first\npriority: 100\nsettable: {limit: {min: 0, max: 256}}\n",
	})
	one := func(more string) string { return "[{name: ratelimit, " + more + "}]" }
	var thousand strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&thousand, "- name: p%d\n", i)
	}
	tests := []refusedAnnotation{
		// Names.
		{"not allowed", "icmp-echo", 102, []string{`"icmp-echo"`, "not allowed", "count, ratelimit"}},
		{"one of several not allowed", "count, icmp-echo", 102, []string{`"icmp-echo"`}},
		{"another case", "RateLimit", 102, []string{`"RateLimit"`, "not allowed"}},
		{"look-alike letters", "r\u0430telimit", 102, []string{`"r\u0430telimit"`, "not allowed"}},
		{"invisible letters", "ratelimit\u200b", 102, []string{`"ratelimit\u200b"`, "not allowed"}},
		{"a path", "../../etc/passwd", 102, []string{`"../../etc/passwd"`, "not allowed"}},
		{"an absolute path", "/opt/xdp/mine.o", 102, []string{`"/opt/xdp/mine.o"`, "not allowed"}},
		{"a long name", strings.Repeat("a", 10000), 102, []string{`"aaaa`, "…", "not allowed"}},
		{"empty name", "count,,pass", 102, []string{"name is missing"}},
		{"no name", "[{priority: 120}]", 102, []string{"[0]", "name is missing"}},
		{"name twice", "count, count", 102, []string{`"count"`, "twice"}},
		{"name of the conflist", "acl", 102, []string{`"acl"`, "network's configuration"}},
		{"name of the conflist on the other side", "drop", 102, []string{`"drop"`, "network's configuration"}},
		{"too many", "count, pass, ratelimit, closed", 102, []string{"4 programs", "at most 3"}},
		{"1,000 entries", thousand.String(), 102, []string{"1000 programs", "at most 3"}},

		// What only an administrator gives.
		{"object", one("object: /opt/mine.o"), 102, []string{"[0].object", "a pod cannot give this"}},
		{"image", one("image: registry.example/mine"), 102, []string{"[0].image", "a pod cannot give this"}},
		{"function", one("function: other"), 102, []string{"[0].function", "a pod cannot give this"}},
		{"proceedOn", one("proceedOn: [drop]"), 102, []string{"[0].proceedOn", "a pod cannot give this"}},
		{"side", one("side: host"), 102, []string{"[0].side", "a pod cannot give this"}},
		{"maps", one("maps: {sources: {pinned: /sys/fs/bpf/theirs}}"), 102, []string{"[0].maps", "a pod cannot give this"}},
		{"unknown field", one("prio: 120"), 102, []string{"[0].prio", `"priority"`}},

		// Priorities.
		{"priority under the band", one("priority: 99"), 102, []string{"[0].priority", "99", "100 to 199"}},
		{"priority over the band", one("priority: 200"), 102, []string{"[0].priority", "200", "100 to 199"}},
		{"priority negative", one("priority: -1"), 102, []string{"[0].priority", "-1"}},
		{"priority's type", one("priority: first"), 102, []string{"[0].priority", "whole number", "first"}},
		{"priority's fraction", one("priority: 120.5"), 102, []string{"[0].priority", "120.5"}},
		{"default priority under the band", "pass", 102, []string{`"pass"`, "50", "100 to 199"}},
		{"the catalog's priority under the band", "closed", 102, []string{`"closed"`, "10", "100 to 199"}},

		// Globals.
		{"nothing is settable", "[{name: count, priority: 100, globals: {x: 1}}]", 102, []string{"[0].globals.x", `"count"`}},
		{"not settable", one("globals: {per: pod}"), 102, []string{"[0].globals.per", "burst, pps"}},
		{"unknown", one("globals: {rate: 1}"), 102, []string{"[0].globals.rate"}},
		{"under its bounds", one("globals: {pps: 0}"), 102, []string{"[0].globals.pps", "0 is not 1 to 100000"}},
		{"over its bounds", one("globals: {pps: 100001}"), 102, []string{"[0].globals.pps", "100001 is not 1 to 100000"}},
		{"far over its bounds", one("globals: {pps: 18446744073709551617}"), 102, []string{"[0].globals.pps", "18446744073709551617"}},
		{"over its bounds in hexadecimal", one(`globals: {pps: "0x186a1"}`), 102, []string{"[0].globals.pps", "0x186a1"}},
		{"exponent", one("globals: {pps: 1e3}"), 102, []string{"[0].globals.pps", "1e3"}},
		{"fraction", one("globals: {pps: 1.5}"), 102, []string{"[0].globals.pps", "1.5"}},
		{"text", one("globals: {pps: many}"), 102, []string{"[0].globals.pps", "many"}},
		{"list", one("globals: {pps: [1]}"), 102, []string{"[0].globals.pps", "[1]"}},
		{"placeholder", one(`globals: {pps: "${pod.ifindex}"}`), 102, []string{"[0].globals.pps", "${pod.ifindex}"}},
		{"globals' type", one("globals: 5"), 102, []string{"[0].globals", "object", "5"}},

		// Texts.
		{"1 MiB", "count" + strings.Repeat(" ", 1<<20), 102, []string{"1048581 bytes", "16384"}},
		{"1 MiB of names", strings.Repeat("count,", 1<<20/6), 102, []string{"bytes", "16384"}},
		{"not YAML", "[{name: count", 102, []string{"xdp-chain.io/programs"}},
		{"not text", "count\x00\x01", 102, []string{"xdp-chain.io/programs"}},
		{"an object", "name: count", 102, []string{"want names", "name"}},
		{"a number", "5", 102, []string{"want names", "5"}},
		{"null", "~", 102, []string{"want names", "null"}},
		{"a list of numbers", "[5]", 102, []string{"[0]", "5"}},
		{"a list in a list", "[[count]]", 102, []string{"[0]", "[\"count\"]"}},
		{"aliases", "- &a count\n- *a\n", 102, []string{"line 2", "alias"}},
		{"aliases that explode", explosion(), 102, []string{"line 1"}},
		{"merge key", "- {name: count, <<: {priority: 100}}\n", 102, []string{"<<"}},
		{"custom tag", "!!binary Y291bnQ=", 102, []string{"tag"}},
		{"duplicate keys", one("priority: 120, priority: 130"), 102, []string{"priority", "twice"}},
		{"several documents", "--- count\n--- pass\n", 102, []string{"document"}},
		{"too deep", strings.Repeat("[", 5000) + strings.Repeat("]", 5000), 102, []string{"xdp-chain.io/programs"}},

		// What is the administrator's to mend.
		{"allowed but absent", "absent", 103, []string{`"absent"`, "catalog"}},
		{"broken entry", "broken", 103, []string{"broken.yaml:3", "prio"}},
		{"settable that does not fit", "unfit", 103, []string{"unfit.yaml", "settable", "limit", "256"}},
	}
	p := plugintest.WiredPod(t, 0)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			more := policed(t, catalog, tt.text)
			conf := func(p *plugintest.Pod) any {
				return p.Chained(more, fields{"name": "acl"}, fields{"name": "drop", "side": "host"})
			}
			refusal{tt.name, conf, tt.code, tt.words}.run(t, p)
			p.Must(t, "DEL", conf(p))
		})
	}
}

// What the runtime hands over as annotations has to be annotations.
func TestBadRuntimeConfig(t *testing.T) {
	for name, given := range map[string]any{
		"a text":          "count",
		"a list":          []string{"count"},
		"values of lists": fields{plugintest.Annotation: []string{"count"}},
		"others' values":  fields{"example.com/other": 5},
	} {
		more := annotated("", allowing("count"), fields{"runtimeConfig": fields{plugintest.PodAnnotations: given}})
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			with(name, more, 7, "runtimeConfig."+plugintest.PodAnnotations).run(t, plugintest.WiredPod(t, 0))
		})
	}
}

func TestBadPolicy(t *testing.T) {
	testenv.KernelIndependent(t)
	policy := func(policy any) fields { return fields{"annotations": policy} }
	for _, tt := range []refusal{
		with("annotations' type", policy(true), 7, "annotations", "object"),
		with("unknown field", policy(fields{"allowed": []string{}}), 7, "annotations.allowed", `"allow"`),
		with("allow's type", policy(fields{"allow": "count"}), 7, "annotations.allow", "list"),
		with("a pattern", policy(allowing("*")), 7, "annotations.allow[0]", "*"),
		with("a name twice", policy(allowing("count", "count")), 7, "annotations.allow[1]", "count"),
		with("priorities' type", policy(fields{"priorities": []int{100, 199}}), 7, "annotations.priorities", "object"),
		with("no priority in the band", policy(fields{"priorities": fields{"min": 5, "max": 4}}), 7, "annotations.priorities", "5", "4"),
		with("max negative", policy(fields{"max": -1}), 7, "annotations.max", "-1"),
		with("max's type", policy(fields{"max": "all"}), 7, "annotations.max", "whole number"),
		with("catalogDir relative", fields{"catalogDir": "programs.d"}, 7, "catalogDir", "absolute"),
		with("catalogDir's type", fields{"catalogDir": 1}, 7, "catalogDir"),
		with("peerNapi's name", fields{"peerNapi": "always"}, 7, "peerNapi", "auto, off"),
		program("image", fields{"name": "mine", "image": "registry.example/mine"}, 7, "programs[1].image", "not in this version"),
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			tt.run(t, plugintest.WiredPod(t, 0))
		})
	}
}

// A pod may put a program before the network's, where the band allows it, and yet not get
// packets past them.
func TestAnnotationBeforeConflist(t *testing.T) {
	catalog := catalogOf(t, map[string]string{
		"final.yaml":    "name: final\nobject: " + object(t, "two.o") + "\nfunction: first\nproceedOn: []\n",
		"answerer.yaml": "name: answerer\nobject: " + object(t, "two.o") + "\nfunction: first\ntransmits: true\n",
		"honest.yaml":   "name: honest\nobject: " + object(t, "two.o") + "\nfunction: first\n",
	})
	policy := fields{"allow": []string{"final", "answerer", "honest", "drop"}, "priorities": fields{"min": 0, "max": 100}}
	for _, tt := range []struct {
		name, annotation string
		words            []string // nil: it is taken
	}{
		{"drops", "[{name: drop, priority: 1}]", nil},
		{"goes on", "[{name: honest, priority: 1}]", nil},
		{"ends the chain", "[{name: final, priority: 1}]", []string{`"final"`, `"acl"`, "proceed on pass"}},
		{"ends the chain behind", "[{name: final, priority: 30}]", nil},
		{"answers", "[{name: answerer, priority: 1}]", []string{`"answerer"`, `"acl"`, "sends packets"}},
		{"answers behind", "[{name: answerer, priority: 30}]", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := plugintest.WiredPod(t, 0)
			// Kernels before 5.13 want a program at the other end of a member that answers.
			conf := p.Chained(annotated(tt.annotation, policy, fields{"catalogDir": catalog, "peerNapi": "off"}), closing(20))
			if tt.words != nil {
				refusal{tt.name, func(*plugintest.Pod) any { return conf }, 102, tt.words}.run(t, p)
				return
			}
			p.Must(t, "ADD", conf)
			p.Must(t, "DEL", conf)
		})
	}
}

// DEL needs nothing but the attachment's names, and GC the list of those that are valid.
func TestDelWhateverTheAnnotation(t *testing.T) {
	testenv.KernelIndependent(t)
	good := annotated("[{name: count, priority: 100}]", allowing("count"), nil)
	for name, more := range map[string]fields{
		"refused by now":        annotated("drop", allowing(), nil),
		"absurd annotation":     annotated("[[[", allowing("count"), nil),
		"absurd runtime config": {"runtimeConfig": fields{plugintest.PodAnnotations: 5}},
		"runtime config gone":   {"runtimeConfig": nil},
		"absurd policy":         {"annotations": []int{1}},
		"policy gone":           {"annotations": nil},
		"absurd catalogDir":     {"catalogDir": 5},
		"catalog missing":       {"catalogDir": "/nowhere/programs.d"},
		"catalog broken":        {"catalogDir": catalogOf(t, map[string]string{"count.yaml": "name: ["})},
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p, valid := plugintest.WiredPod(t, 0), plugintest.WiredPod(t, 0)
			for _, added := range []*plugintest.Pod{p, valid} {
				added.Must(t, "ADD", added.Chained(good, fields{"name": "acl"}))
			}
			all := maps.Clone(good)
			maps.Copy(all, more)
			all["cniVersion"] = "1.1.0"
			gc := plugintest.Entry(all, fields{"name": "acl"})
			gc["cni.dev/valid-attachments"] = []fields{{"containerID": valid.ID, "ifname": valid.Ifname}}
			p.Must(t, "GC", gc)
			if sides := chainedSides(t, p); sides != nil {
				t.Errorf("GC left a chain on %v", sides)
			}
			conf := valid.Chained(all, fields{"name": "acl"})
			valid.Must(t, "DEL", conf)
			valid.Must(t, "DEL", conf)
			if left := records(t); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}
