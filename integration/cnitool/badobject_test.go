// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"os"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

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
