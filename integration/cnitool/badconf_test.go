// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// refusal is an ADD that must fail with a code, must say some words, and must
// leave nothing.
type refusal struct {
	name  string
	conf  func(p *plugintest.Pod) any
	code  uint
	words []string
}

func (r refusal) run(t *testing.T, p *plugintest.Pod) {
	t.Helper()
	_, err := p.Call(t, "ADD", r.conf(p))
	if err == nil {
		p.Must(t, "DEL", plugintest.Entry(nil)) // so that the other tests are not to blame
		t.Fatalf("ADD succeeded, want code %d", r.code)
	}
	t.Log(plugintest.Describe(err))
	plugintest.WantError(t, "ADD", err, r.code, r.words...)
	if left := records(t); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if sides := chainedSides(t, p); sides != nil {
		t.Errorf("a chain is left on %v", sides)
	}
}

// with is a refusal over fields of the configuration, beside a program that is all
// right.
func with(name string, more fields, code uint, words ...string) refusal {
	return refusal{name, func(p *plugintest.Pod) any { return p.Chained(more, fields{"name": "pass"}) }, code, words}
}

// program is a refusal over one program, listed behind one that is all right.
func program(name string, member fields, code uint, words ...string) refusal {
	return refusal{name, func(p *plugintest.Pod) any { return p.Chained(nil, fields{"name": "pass"}, member) }, code, words}
}

func raw(name, content string, code uint, words ...string) refusal {
	return refusal{name, func(*plugintest.Pod) any { return []byte(content) }, code, words}
}

func TestBadConfiguration(t *testing.T) {
	testenv.KernelIndependent(t)
	tests := []refusal{
		raw("nothing", "", 6),
		raw("not JSON", `{"cniVersion": "1.0.0", "name": "podnet", "type": "xdp-chain"`, 6),
		raw("no object", `[]`, 6),
		raw("field twice", `{"cniVersion": "1.0.0", "name": "podnet", "type": "xdp-chain", "side": "pod", "side": "host"}`, 7, "side", "twice"),
		with("no prevResult", fields{"prevResult": nil}, 7, "prevResult", "chained"),
		with("prevResult null", fields{"prevResult": (*int)(nil)}, 7, "prevResult"),
		with("prevResult of a wrong type", fields{"prevResult": "none"}, 7, "prevResult"),
		with("prevResult without interfaces", fields{"prevResult": fields{"cniVersion": "1.0.0"}}, 7, "eth0"),

		with("unknown field", fields{"sides": "pod"}, 7, "sides", `"side"`),
		with("field in other case", fields{"Side": "pod"}, 7, "Side"),
		with("side's type", fields{"side": 7}, 7, "side", "7"),
		with("side's name", fields{"side": "both"}, 7, "both", "pod", "host"),
		with("mode's type", fields{"mode": true}, 7, "mode"),
		with("mode's name", fields{"mode": "skb"}, 7, "skb", "native", "generic", "offload"),
		with("dispatcher's type", fields{"dispatcher": []int{1}}, 7, "dispatcher"),
		with("dispatcher's name", fields{"dispatcher": "tail"}, 7, "tail", "linked"),
		with("attach's type", fields{"attach": 1.5}, 7, "attach"),
		with("attach's name", fields{"attach": "tc"}, 7, "tc", "link", "netlink"),
		with("counters' type", fields{"counters": "yes"}, 7, "counters", "true or false"),
		with("programs' type", fields{"programs": fields{"name": "pass"}}, 7, "programs", "list"),
		with("program's type", fields{"programs": []string{"pass"}}, 7, "programs[0]"),
		with("namespaces' type", fields{"namespaces": []string{"shop"}}, 7, "namespaces"),
		with("namespaces' unknown field", fields{"namespaces": fields{"only": []string{}}}, 7, "namespaces.only"),
		with("namespaces.include's type", fields{"namespaces": fields{"include": "shop"}}, 7, "namespaces.include"),
		with("logFile's type", fields{"logFile": 1}, 7, "logFile"),
		with("logFile relative", fields{"logFile": "xdp.log"}, 7, "logFile", "absolute"),
		with("logLevel's type", fields{"logLevel": 1}, 7, "logLevel"),
		with("logLevel's name", fields{"logLevel": "loud"}, 7, "loud", "debug"),

		program("no name", fields{"object": "/a.o"}, 7, "programs[1].name"),
		program("name's type", fields{"name": 1}, 7, "programs[1].name"),
		program("name's characters", fields{"name": "My_Prog"}, 7, "programs[1].name", "My_Prog"),
		program("name's length", fields{"name": strings.Repeat("n", 64)}, 7, "programs[1].name", "63"),
		program("name twice", fields{"name": "pass"}, 7, "programs[1].name", "pass"),
		program("unknown field", fields{"name": "drop", "prio": 1}, 7, "programs[1].prio"),
		program("priority's type", fields{"name": "drop", "priority": "first"}, 7, "programs[1].priority"),
		program("priority's fraction", fields{"name": "drop", "priority": 1.5}, 7, "programs[1].priority"),
		program("priority negative", fields{"name": "drop", "priority": -1}, 7, "programs[1]", "-1"),
		program("priority too large", fields{"name": "drop", "priority": 1 << 31}, 7, "programs[1]", "2147483648"),
		program("proceedOn's type", fields{"name": "drop", "proceedOn": "pass"}, 7, "programs[1].proceedOn"),
		program("proceedOn's name", fields{"name": "drop", "proceedOn": []string{"pass", "accept"}}, 7, "programs[1].proceedOn", "accept"),
		program("side's name", fields{"name": "drop", "side": "peer"}, 7, "programs[1].side", "peer"),
		program("object relative", fields{"name": "mine", "object": "mine.o"}, 7, "programs[1]", "absolute"),
		program("object's type", fields{"name": "mine", "object": 1}, 7, "programs[1].object"),
		program("function's type", fields{"name": "drop", "function": 1}, 7, "programs[1].function"),
		program("globals' type", fields{"name": "drop", "globals": []int{}}, 7, "programs[1].globals"),
		program("maps' type", fields{"name": "acl", "maps": "none"}, 7, "programs[1].maps"),
		program("map's unknown field", fields{"name": "acl", "maps": fields{"rules": fields{"size": 1}}}, 7, "programs[1].maps.rules.size"),
		program("map's scope", fields{"name": "acl", "maps": fields{"rules": fields{"scope": "host"}}}, 7, "programs[1].maps.rules.scope", "host", "one of pod, node"),
		program("map pinned and sized", fields{"name": "acl", "maps": fields{"rules": fields{"pinned": "/sys/fs/bpf/rules", "maxEntries": 1}}}, 7, "programs[1]", "pinned"),
		program("map's maxEntries negative", fields{"name": "acl", "maps": fields{"rules": fields{"maxEntries": -1}}}, 7, "programs[1].maps.rules.maxEntries"),
		program("entry without value", fields{"name": "acl", "maps": fields{"rules": fields{"entries": []fields{{"key": 1}}}}}, 7, "programs[1].maps.rules.entries[0]"),
		program("gap in acl's rules", fields{"name": "acl", "maps": fields{"rules": fields{"entries": []fields{{"key": 1, "value": fields{"action": "deny"}}}}}}, 7, "rules", "no key 0"),
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			tt.run(t, plugintest.WiredPod(t, 0))
		})
	}
}

// 64 members are a chain, 65 are too many.
func TestTooManyMembers(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	members := manyOf("pass", plugintest.CopyOf(t, "../../bpf/pass/pass.o"), 65)
	conf := p.Chained(nil, members[:64]...)
	p.Must(t, "ADD", conf)
	if got := len(p.ChainOn(t, "pod").Members); got != 64 {
		t.Errorf("%d members, want 64", got)
	}
	p.Must(t, "DEL", conf)
	refusal{"65", func(p *plugintest.Pod) any { return p.Chained(nil, members...) }, 104, []string{"65", "64"}}.run(t, p)
}

// The kernel takes 64 maps in a program: each of these members has one, and the
// counters are one more.
func TestTooManyMaps(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	members := manyOf("first", object(t, "two.o"), 64)
	// In libxdp's dispatcher, which auto would try next, they would be too many members.
	linked := fields{"dispatcher": "linked"}
	conf := p.Chained(fields{"dispatcher": "linked", "counters": false}, members...)
	p.Must(t, "ADD", conf)
	p.Must(t, "DEL", conf)
	refusal{"65", func(p *plugintest.Pod) any { return p.Chained(linked, members...) }, 104, []string{"maps", "65", "64"}}.run(t, p)
}

// manyOf makes members of different names of one function.
func manyOf(function, object string, count int) []fields {
	var members []fields
	for i := range count {
		members = append(members, fields{"name": fmt.Sprintf("member-%d", i), "object": object, "function": function})
	}
	return members
}

// Objects that are no members of a chain, and settings that do not fit them.
func TestBadObject(t *testing.T) {
	two, classifier, unchecked := object(t, "two.o"), object(t, "classifier.o"), object(t, "unchecked.o")
	text := plugintest.File(t, "text.o", []byte("not an object at all, though long enough to hold an ELF header of sixty-four bytes"))
	empty := plugintest.File(t, "empty.o", nil)
	cut := plugintest.File(t, "cut.o", head(t, two, 200))
	big := plugintest.File(t, "big.o", make([]byte, 16<<20+1))
	foreign := plugintest.File(t, "foreign.o", head(t, plugintest.Binary(t, "xdpctl"), 1<<20))
	writable := object(t, "two.o")
	if err := os.Chmod(writable, 0o666); err != nil {
		t.Fatal(err)
	}
	others := object(t, "two.o")
	if err := os.Chown(others, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	mine := func(object string, more fields) fields {
		member := fields{"name": "mine", "object": object}
		for name, value := range more {
			member[name] = value
		}
		return member
	}
	global := func(value any) fields { return fields{"function": "first", "globals": fields{"limit": value}} }
	rules := func(entries ...fields) fields {
		return fields{"name": "acl", "maps": fields{"rules": fields{"entries": entries}}}
	}
	tests := []refusal{
		program("not there", mine("/nowhere/mine.o", nil), 103, "/nowhere/mine.o"),
		program("a folder", mine("/run", nil), 103, "/run"),
		program("not a built-in", fields{"name": "nonsense"}, 103, "nonsense", "acl"),
		program("empty", mine(empty, nil), 103, empty),
		program("text", mine(text, nil), 103, text, "ELF"),
		program("cut short", mine(cut, nil), 103, cut),
		program("too big", mine(big, nil), 103, big, "16"),
		program("of this machine", mine(foreign, nil), 103, foreign, "BPF"),
		program("writable by all", mine(writable, nil), 103, writable, "writ"),
		program("not root's", mine(others, nil), 103, others, "root"),
		program("no XDP program", mine(classifier, nil), 103, "classify"),
		program("two programs, no function", mine(two, nil), 103, "function", "first", "second"),
		program("function not there", mine(two, fields{"function": "third"}), 103, "third", "first", "second"),
		program("refused by the verifier", mine(unchecked, nil), 100, "mine", "packet"),

		program("unknown global", mine(two, fields{"function": "first", "globals": fields{"limits": 1}}), 103, "limits", "limit"),
		program("global overflows", mine(two, global(256)), 103, "limit", "256"),
		program("global negative", mine(two, global(-1)), 103, "limit", "-1"),
		program("global's type", mine(two, global("many")), 103, "limit"),
		program("placeholder unknown", mine(two, global("${pod.nonsense}")), 103, "pod.nonsense"),

		program("unknown map", fields{"name": "acl", "maps": fields{"rule": fields{}}}, 103, "rule", "rules"),
		program("entry's key overflows", rules(fields{"key": 1 << 32, "value": fields{"action": "deny"}}), 103, "rules"),
		program("more entries than the map holds", fields{"name": "acl", "maps": fields{"rules": fields{"maxEntries": 1, "entries": []fields{
			{"key": 0, "value": fields{"action": "deny"}}, {"key": 1, "value": fields{"action": "deny"}},
		}}}}, 103, "rules"),
		program("entry's unknown field", rules(fields{"key": 0, "value": fields{"actions": "deny"}}), 103, "rules", "actions"),
		program("entry's enumeration", rules(fields{"key": 0, "value": fields{"action": "reject"}}), 103, "rules", "reject"),
		program("entry twice", rules(fields{"key": 0, "value": fields{"action": "deny"}}, fields{"key": 0, "value": fields{"action": "allow"}}), 103, "rules"),
		program("pinned map not there", fields{"name": "acl", "maps": fields{"rules": fields{"pinned": "/sys/fs/bpf/nowhere"}}}, 103, "/sys/fs/bpf/nowhere"),
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			testenv.ShardByKernel(t, i)
			testenv.NoLeaks(t)
			tt.run(t, plugintest.WiredPod(t, 0))
		})
	}
}

// head returns the first bytes of a file.
func head(t *testing.T, path string, size int) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content[:size]
}
