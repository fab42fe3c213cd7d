// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"encoding/json"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/schematest"
)

func TestNetconfFields(t *testing.T) {
	s := schematest.Open(t, "netconf")
	s.Reads(t, config.Conf{})
	type policy config.Policy // without the methods, which make it opaque
	s.Property("annotations").Reads(t, policy{})
}

// Each choice that the schema offers is one of the parser's.
func TestNetconfChoices(t *testing.T) {
	choices := schematest.Open(t, "netconf").Choices()
	if len(choices) < 6 {
		t.Errorf("choices of %d properties", len(choices))
	}
	for name, values := range choices {
		for _, value := range values {
			document, err := json.Marshal(map[string]any{"type": "xdp-chain", name: value})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := config.Parse(document); err != nil {
				t.Errorf("%s: %v", document, err)
			}
		}
	}
}

// What is on the one side accepted or refused is so on the other.
func TestNetconf(t *testing.T) {
	s := schematest.Open(t, "netconf")
	for _, tt := range []struct {
		good   bool
		fields string // besides the type
	}{
		{true, ``},
		{true, `, "cniVersion": "1.0.0", "name": "n", "prevResult": {"x": 1}, "cni.dev/attachments": [], "ipam": {}, "disableGC": true`},
		{true, `, "capabilities": {"io.kubernetes.cri.pod-annotations": true}, "runtimeConfig": {"io.kubernetes.cri.pod-annotations": {"a": "b"}, "portMappings": []}`},
		{true, `, "dispatcher": "libxdp", "attach": "netlink", "libxdpVersion": 3, "mode": "generic"`},
		{true, `, "dispatcher": "linked", "libxdpVersion": 0, "mode": "offload"`},
		{true, `, "programs": [{"name": "a", "object": "", "proceedOn": [], "priority": 2147483647}]`},
		{true, `, "programs": [{"name": "a-1", "globals": {"x": [1, "0x2", true, {"y": "10.0.0.0/8"}]}, "maps": {"m": {"entries": [{"key": 1, "value": {"a": 2}}]}}}]`},
		{true, `, "programs": [{"name": "a", "maps": {"m": {"pinned": "/sys/fs/bpf/m", "maxEntries": 0, "entries": []}}}]`},
		{true, `, "annotations": {}, "namespaces": {"include": []}, "logFile": ""`},
		{true, `, "annotations": {"allow": ["x"], "priorities": {"min": 0, "max": 2147483647}, "max": 64}`},
		{false, `, "Side": "pod"`},
		{false, `, "side": "both"`},
		{false, `, "mode": 1`},
		{false, `, "mode": "skb"`},
		{false, `, "counters": "yes"`},
		{false, `, "peerNapi": "on"`},
		{false, `, "libxdpVersion": 1`},
		{false, `, "libxdpVersion": "2"`},
		{false, `, "dispatcher": "libxdp", "attach": "link"`},
		{false, `, "dispatcher": "libxdp", "mode": "offload"`},
		{false, `, "dispatcher": "linked", "libxdpVersion": 2`},
		{false, `, "catalogDir": "programs.d"`},
		{false, `, "catalogDir": ""`},
		{false, `, "logFile": "log"`},
		{false, `, "logLevel": "trace"`},
		{false, `, "image": "x"`},
		{false, `, "programs": {}`},
		{false, `, "programs": [{}]`},
		{false, `, "programs": ["count"]`},
		{false, `, "programs": [{"name": "Count"}]`},
		{false, `, "programs": [{"name": "-a"}]`},
		{false, `, "programs": [{"name": "a234567890123456789012345678901234567890123456789012345678901234"}]`},
		{false, `, "programs": [{"name": "a", "object": "a.o"}]`},
		{false, `, "programs": [{"name": "a", "image": "registry/a"}]`},
		{false, `, "programs": [{"name": "a", "priority": -1}]`},
		{false, `, "programs": [{"name": "a", "priority": 2147483648}]`},
		{false, `, "programs": [{"name": "a", "priority": 1.5}]`},
		{false, `, "programs": [{"name": "a", "priority": "1"}]`},
		{false, `, "programs": [{"name": "a", "proceedOn": "pass"}]`},
		{false, `, "programs": [{"name": "a", "proceedOn": ["PASS"]}]`},
		{false, `, "programs": [{"name": "a", "proceedOn": ["pass", "pass"]}]`},
		{false, `, "programs": [{"name": "a", "proceedOn": [2]}]`},
		{false, `, "programs": [{"name": "a", "globals": []}]`},
		{false, `, "programs": [{"name": "a", "maps": {"m": {"size": 1}}}]`},
		{false, `, "programs": [{"name": "a", "maps": {"m": {"scope": "chain"}}}]`},
		{false, `, "programs": [{"name": "a", "maps": {"m": {"maxEntries": -1}}}]`},
		{false, `, "programs": [{"name": "a", "maps": {"m": {"maxEntries": 4294967296}}}]`},
		{false, `, "programs": [{"name": "a", "maps": {"m": {"entries": [{"key": 1}]}}}]`},
		{false, `, "programs": [{"name": "a", "maps": {"m": {"entries": [{"key": 1, "value": 2, "flags": 0}]}}}]`},
		{false, `, "programs": [{"name": "a", "maps": {"m": {"pinned": "m"}}}]`},
		{false, `, "programs": [{"name": "a", "maps": {"m": {"pinned": "/m", "scope": "node"}}}]`},
		{false, `, "programs": [{"name": "a", "maps": {"m": {"pinned": "/m", "maxEntries": 1}}}]`},
		{false, `, "programs": [{"name": "a", "maps": {"m": {"pinned": "/m", "entries": [{"key": 1, "value": 2}]}}}]`},
		{false, `, "annotations": true`},
		{false, `, "annotations": {"deny": []}`},
		{false, `, "annotations": {"allow": ["*"]}`},
		{false, `, "annotations": {"allow": ["a", "a"]}`},
		{false, `, "annotations": {"max": 65}`},
		{false, `, "annotations": {"priorities": {"min": -1}}`},
		{false, `, "annotations": {"priorities": {"from": 1}}`},
		{false, `, "namespaces": ["shop"]`},
		{false, `, "namespaces": {"include": ["kube-*"]}`},
		{false, `, "namespaces": {"include": [], "exclude": []}`},
		{false, `, "runtimeConfig": []`},
		{false, `, "runtimeConfig": {"io.kubernetes.cri.pod-annotations": {"a": 1}}`},
		{false, `, "name": 1`},
	} {
		document := []byte(`{"type": "xdp-chain"` + tt.fields + `}`)
		if err := s.Check(document); (err == nil) != tt.good {
			t.Errorf("schema: %s: %v", document, err)
		}
		if _, err := config.Parse(document); (err == nil) != tt.good {
			t.Errorf("parser: %s: %v", document, err)
		}
	}
}
