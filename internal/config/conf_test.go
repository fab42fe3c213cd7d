// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdp-chain/xdp-chain/internal/enum/enumtest"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// wantInvalid checks that err is about a configuration with a fault, and begins with
// msg.
func wantInvalid(t *testing.T, err error, msg string) {
	t.Helper()
	if !errors.Is(err, chain.ErrInvalid) || !strings.HasPrefix(err.Error(), msg) {
		t.Errorf("error is %v\nwant an ErrInvalid of %q", err, msg)
	}
}

func TestConfFull(t *testing.T) {
	c, err := Parse(readFile(t, "testdata/full.json"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "podnet" {
		t.Errorf("name is %q", c.Name)
	}
	want := Conf{
		Requested: Requested{PeerNapi: PeerNapiOff},
		Counters:  true,
		Programs: []Program{
			{
				Name: "acl", Priority: new(10),
				Maps: map[string]MapSettings{"rules": {Entries: []MapEntry{}}},
			},
			{
				Name: "mine", Object: "/opt/xdp/mine.o", Function: "xdp_mine",
				Priority: new(50), ProceedOn: new(chain.ActionSetOf(chain.Pass)), Side: new(HostSide),
				Globals: map[string]json.RawMessage{"limit": json.RawMessage("100"), "pod": json.RawMessage(`"${pod.ip}"`)},
				Maps: map[string]MapSettings{
					"seen": {
						Scope: ScopeNode, MaxEntries: 1024,
						Entries: []MapEntry{{Key: json.RawMessage(`"10.0.0.0/8"`), Value: json.RawMessage("1")}},
					},
					"shared": {Pinned: "/sys/fs/bpf/shared"},
				},
			},
		},
	}
	others := cmpopts.IgnoreFields(Conf{}, "CNI", "CatalogDir", "Annotations", "Namespaces", "LogFile", "LogLevel")
	if diff := cmp.Diff(want, *c, others); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	policy := &Policy{Allow: []string{"ratelimit", "flow-stats"}, Priorities: Band{Min: 110, Max: 120}, Max: 2}
	if diff := cmp.Diff(policy, c.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if c.CatalogDir != "/usr/lib/xdp-chain/programs.d" {
		t.Errorf("catalogDir is %q", c.CatalogDir)
	}
	if diff := cmp.Diff(map[string]string{"a": "b"}, c.RuntimeConfig.PodAnnotations); diff != "" {
		t.Errorf("the pod's annotations (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Namespaces{Exclude: []string{"kube-system"}}, c.Namespaces); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
}

func TestConfDefaults(t *testing.T) {
	for _, stdin := range []string{
		`{"name": "n"}`,
		`{"name": "n", "side": null, "mode": null, "dispatcher": null, "attach": null, "counters": null,
		  "programs": null, "namespaces": null, "logFile": null, "logLevel": null,
		  "peerNapi": null, "catalogDir": null, "annotations": null, "runtimeConfig": null}`,
		`{"name": "n", "side": "pod", "mode": "auto", "dispatcher": "auto", "attach": "auto", "counters": true,
		  "programs": [], "namespaces": {}, "logFile": "", "logLevel": "info",
		  "peerNapi": "auto", "catalogDir": "/etc/xdp-chain/programs.d", "runtimeConfig": {}}`,
	} {
		c, err := Parse([]byte(stdin))
		if err != nil {
			t.Fatalf("%s: %v", stdin, err)
		}
		c.Programs = nil
		if diff := cmp.Diff(&Conf{CNI: CNI{Name: "n"}, Counters: true, CatalogDir: "/etc/xdp-chain/programs.d"}, c); diff != "" {
			t.Errorf("%s (-want +got):\n%s", stdin, diff)
		}
	}
}

// Everything that CNI and the runtimes put into a plugin's configuration is none
// of our business.
func TestConfForeignFields(t *testing.T) {
	stdin := `{
		"cniVersion": "1.1.0", "cniVersions": ["1.0.0", "1.1.0"], "name": "n", "type": "xdp-chain",
		"capabilities": {"x": true}, "runtimeConfig": {"x": {"y": 1}}, "prevResult": {}, "args": {"cni": {}},
		"ipam": {"type": "host-local"}, "dns": {"nameservers": []}, "ipMasq": true, "disableCheck": "true",
		"disableGC": false, "loadOnlyInlinedPlugins": false,
		"cni.dev/valid-attachments": [], "cni.dev/attachments": [], "cni.dev/anything": 1
	}`
	if _, err := Parse([]byte(stdin)); err != nil {
		t.Error(err)
	}
}

func TestConfFaults(t *testing.T) {
	long := strings.Repeat("a", 64)
	tests := []struct{ conf, want string }{
		{`[]`, "the network configuration: want an object, got []"},

		// Unknown fields.
		{`{"program": []}`, `program: unknown field; did you mean "programs"?`},
		{`{"Side": "pod"}`, `Side: unknown field; did you mean "side"?`},
		{`{"sied": "pod"}`, `sied: unknown field; did you mean "side"?`},
		{`{"cni.devs/x": 1}`, `cni.devs/x: unknown field`},
		{`{"quota": 1}`, `quota: unknown field`},
		{`{"programs": [{"name": "a"}, {"name": "b", "prio": 1}]}`, `programs[1].prio: unknown field; did you mean "priority"?`},
		{`{"programs": [{"name": "a", "proceed_on": ["pass"]}]}`, `programs[0].proceed_on: unknown field; did you mean "proceedOn"?`},
		{`{"programs": [{"name": "a", "cni.dev/x": 1}]}`, `programs[0].cni.dev/x: unknown field`},
		{`{"programs": [{"name": "a", "maps": {"m": {"max_entries": 1}}}]}`, `programs[0].maps.m.max_entries: unknown field; did you mean "maxEntries"?`},
		{`{"programs": [{"name": "a", "maps": {"m": {"entries": [{"key": 1, "val": 2}]}}}]}`, `programs[0].maps.m.entries[0].val: unknown field; did you mean "value"?`},
		{`{"namespaces": {"excludes": ["a"]}}`, `namespaces.excludes: unknown field; did you mean "exclude"?`},

		// Fields of later versions.
		{`{"programs": [{"name": "a", "image": "r/a@sha256:0"}]}`, "programs[0].image: programs from OCI images are not in this version"},
		{`{"programs": [{"name": "a", "object": "/a.o", "image": "r/a@sha256:0"}]}`, "programs[0].image: programs from OCI images are not in this version"},
		{`{"dispatcher": "libxdp", "attach": "link"}`, `attach: "link" does not go with dispatcher "libxdp"`},
		{`{"dispatcher": "libxdp", "mode": "offload"}`, `mode: "offload" does not go with dispatcher "libxdp"`},
		{`{"dispatcher": "linked", "libxdpVersion": 3}`, `libxdpVersion: it says nothing about dispatcher "linked"`},
		{`{"libxdpVersion": 1}`, "libxdpVersion: version 1 is only read"},
		{`{"libxdpVersion": 4}`, "libxdpVersion: invalid value: version 4 of libxdp's protocol; use 2 or 3"},
		{`{"libxdpVersion": "2"}`, "libxdpVersion: invalid value: version \"2\" of libxdp's protocol; use 2 or 3"},

		// Fields given twice.
		{`{"side": "pod", "side": "host"}`, "side: the field is there twice"},
		{`{"programs": [{"name": "a", "name": "b"}]}`, "programs[0].name: the field is there twice"},
		{`{"programs": [{"name": "a", "globals": {"x": 1, "x": 2}}]}`, "programs[0].globals.x: the field is there twice"},

		// Wrong types.
		{`{"side": 1}`, `side: want a string, got 1`},
		{`{"side": ["pod"]}`, `side: want a string, got ["pod"]`},
		{`{"mode": true}`, `mode: want a string, got true`},
		{`{"counters": "yes"}`, `counters: want true or false, got "yes"`},
		{`{"programs": {"name": "a"}}`, `programs: want a list, got {"name": "a"}`},
		{`{"programs": ["acl"]}`, `programs[0]: want an object, got "acl"`},
		{`{"programs": [{"name": 7}]}`, `programs[0].name: want a string, got 7`},
		{`{"programs": [{"name": "a"}, {"name": "b", "priority": "high"}]}`, `programs[1].priority: want a whole number, got "high"`},
		{`{"programs": [{"name": "a", "priority": 1.5}]}`, `programs[0].priority: want a whole number, got 1.5`},
		{`{"programs": [{"name": "a", "priority": 1e99}]}`, `programs[0].priority: want a whole number, got 1e99`},
		{`{"programs": [{"name": "a", "proceedOn": "pass"}]}`, `programs[0].proceedOn: want a list, got "pass"`},
		{`{"programs": [{"name": "a", "proceedOn": [2]}]}`, `programs[0].proceedOn[0]: want a string, got 2`},
		{`{"programs": [{"name": "a", "globals": [1]}]}`, `programs[0].globals: want an object, got [1]`},
		{`{"programs": [{"name": "a", "maps": 1}]}`, `programs[0].maps: want an object, got 1`},
		{`{"programs": [{"name": "a", "maps": {"m": {"maxEntries": -1}}}]}`, `programs[0].maps.m.maxEntries: want a whole number from 0 to 4294967295, got -1`},
		{`{"programs": [{"name": "a", "maps": {"m": {"maxEntries": 4294967296}}}]}`, `programs[0].maps.m.maxEntries: want a whole number from 0 to 4294967295, got 4294967296`},
		{`{"programs": [{"name": "a", "maps": {"m": {"entries": {}}}}]}`, `programs[0].maps.m.entries: want a list, got {}`},
		{`{"namespaces": ["a"]}`, `namespaces: want an object, got ["a"]`},
		{`{"namespaces": {"include": "a"}}`, `namespaces.include: want a list, got "a"`},
		{`{"logFile": 1}`, `logFile: want a string, got 1`},
		{`{"logLevel": 1}`, `logLevel: want a string, got 1`},
		{`{"name": 1}`, `name: want a string, got 1`},
		{`{"quota": "` + long + `", "side": "` + long + `"}`, `quota: unknown field`},

		{`{"peerNapi": true}`, `peerNapi: want a string, got true`},
		{`{"catalogDir": []}`, `catalogDir: want a string, got []`},
		{`{"annotations": true}`, `annotations: want an object, got true`},
		{`{"annotations": ["count"]}`, `annotations: want an object, got ["count"]`},
		{`{"annotations": {"allow": "count"}}`, `annotations.allow: want a list, got "count"`},
		{`{"annotations": {"allow": ["count", 1]}}`, `annotations.allow[1]: want a string, got 1`},
		{`{"annotations": {"priorities": [100, 199]}}`, `annotations.priorities: want an object, got [100, 199]`},
		{`{"annotations": {"priorities": {"min": "a"}}}`, `annotations.priorities.min: want a whole number, got "a"`},
		{`{"annotations": {"max": 1.5}}`, `annotations.max: want a whole number, got 1.5`},
		{`{"runtimeConfig": 1}`, `runtimeConfig: want an object, got 1`},
		{`{"runtimeConfig": {"io.kubernetes.cri.pod-annotations": "count"}}`, `runtimeConfig.io.kubernetes.cri.pod-annotations: want an object, got "count"`},
		{`{"runtimeConfig": {"io.kubernetes.cri.pod-annotations": {"a": "b", "xdp-chain.io/programs": ["count"]}}}`, `runtimeConfig.io.kubernetes.cri.pod-annotations.xdp-chain.io/programs: want a string, got ["count"]`},

		// Wrong names.
		{`{"side": "left"}`, `side: invalid value: side "left"; use one of pod, host`},
		{`{"mode": "skb"}`, `mode: invalid value: mode "skb"; use one of auto, native, generic, offload`},
		{`{"dispatcher": "tail"}`, `dispatcher: invalid value: dispatcher "tail"; use one of auto, linked`},
		{`{"attach": "tc"}`, `attach: invalid value: attach "tc"; use one of auto, link, netlink`},
		{`{"logLevel": "loud"}`, `logLevel: level "loud"; use one of debug, info, warn, error`},
		{`{"programs": [{"name": "a", "side": "left"}]}`, `programs[0].side: invalid value: side "left"`},
		{`{"programs": [{"name": "a", "proceedOn": ["pass", "accept"]}]}`, `programs[0].proceedOn[1]: invalid value: action "accept"; use one of aborted,drop,pass,tx,redirect,dispatcher_return`},
		{`{"programs": [{"name": "a", "proceedOn": ["pass", "pass"]}]}`, `programs[0].proceedOn: invalid value: proceedOn names pass twice`},
		{`{"programs": [{"name": "a", "maps": {"m": {"scope": "host"}}}]}`, `programs[0].maps.m.scope: invalid value: scope "host"`},

		{`{"peerNapi": "on"}`, `peerNapi: invalid value: peerNapi "on"; use one of auto, off`},
		{`{"annotations": {"allowed": ["count"]}}`, `annotations.allowed: unknown field; did you mean "allow"?`},
		{`{"annotations": {"priorities": {"from": 1}}}`, `annotations.priorities.from: unknown field`},
		{`{"annotations": {"allow": ["count"], "allow": ["drop"]}}`, `annotations.allow: the field is there twice`},

		// Values out of range.
		{`{"programs": [{}]}`, `programs[0].name: invalid value: name is empty`},
		{`{"programs": [null]}`, `programs[0].name: invalid value: name is empty`},
		{`{"programs": [{"name": "ACL"}]}`, `programs[0].name: invalid value: name "ACL"`},
		{`{"programs": [{"name": "` + long + `"}]}`, `programs[0].name: invalid value: name "aaaaaaaaaaaaaaaaaaaa"… has 64 bytes`},
		{`{"programs": [{"name": "a", "priority": -1}]}`, `programs[0]: invalid value: priority -1`},
		{`{"programs": [{"name": "a", "priority": 2147483648}]}`, `programs[0]: invalid value: priority 2147483648`},
		{`{"programs": [{"name": "a", "object": "a.o"}]}`, `programs[0]: invalid value: object "a.o"`},
		{`{"programs": [{"name": "a", "maps": {"m": {"pinned": "m"}}}]}`, `programs[0]: map "m" of program "a": invalid value: pinned "m"`},
		{`{"programs": [{"name": "a", "maps": {"m": {"entries": [{"key": 1}]}}}]}`, `programs[0].maps.m.entries[0]: an entry needs`},
		{`{"programs": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}`, `programs[2].name: "a" is the name of programs[0] already; names are unique on an interface (side pod)`},
		{`{"side": "host", "programs": [{"name": "a"}, {"name": "a", "side": "host"}]}`, `programs[1].name: "a" is the name of programs[0] already; names are unique on an interface (side host)`},
		{`{"namespaces": {"include": ["a"], "exclude": ["b"]}}`, `namespaces: give include or exclude, not both`},
		{`{"namespaces": {"exclude": ["a", "kube-*"]}}`, `namespaces.exclude[1]: invalid value: name "kube-*"`},
		{`{"logFile": "xdp.log"}`, `logFile: "xdp.log" is not an absolute path`},
		{`{"catalogDir": "programs.d"}`, `catalogDir: "programs.d" is not an absolute path`},
		{`{"catalogDir": ""}`, `catalogDir: "" is not an absolute path`},
		{`{"annotations": {"allow": ["count", "*"]}}`, `annotations.allow[1]: invalid value: name "*"`},
		{`{"annotations": {"allow": ["count", "count"]}}`, `annotations.allow[1]: "count" is allowed by allow[0] already`},
		{`{"annotations": {"priorities": {"min": 9, "max": 8}}}`, `annotations.priorities: invalid value: priorities from 9 to 8`},
		{`{"annotations": {"max": -1}}`, `annotations.max: -1`},
	}
	for _, tt := range tests {
		_, err := Parse([]byte(tt.conf))
		if err == nil {
			t.Errorf("%s: no error, want %q", tt.conf, tt.want)
			continue
		}
		t.Run(tt.want, func(t *testing.T) { wantInvalid(t, err, tt.want) })
	}
}

func TestConfNotJSON(t *testing.T) {
	for _, stdin := range []string{"", "{", `{"name": "n",}`, "name: n", `{"name": "n"} {}`} {
		_, err := Parse([]byte(stdin))
		if !errors.Is(err, ErrNotJSON) || !strings.HasPrefix(err.Error(), "the network configuration is not JSON: ") {
			t.Errorf("%q: error is %v", stdin, err)
		}
	}
}

// All faults are told, a line each.
func TestConfSeveralFaults(t *testing.T) {
	for conf, want := range map[string]string{
		`{"mode": "skb", "programs": [{"name": "a", "prio": 1}], "side": 1}`: "mode: invalid value: mode \"skb\"; use one of auto, native, generic, offload\n" +
			"programs[0].prio: unknown field; did you mean \"priority\"?\nside: want a string, got 1",
		`{"libxdpVersion": 1, "logFile": "log"}`: "libxdpVersion: version 1 is only read, where it is found on an interface; use 2 or 3\n" +
			"logFile: \"log\" is not an absolute path",
	} {
		_, err := Parse([]byte(conf))
		if err == nil {
			t.Errorf("%s: accepted", conf)
			continue
		}
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", conf, diff)
		}
	}
}

// The same name may stand once on either side.
func TestConfNamePerSide(t *testing.T) {
	if _, err := Parse([]byte(`{"programs": [{"name": "a"}, {"name": "a", "side": "host"}]}`)); err != nil {
		t.Error(err)
	}
}

func TestHasAnnotationsCapability(t *testing.T) {
	for conf, want := range map[string]bool{
		`{}`:                     false,
		`{"capabilities": null}`: false,
		`{"capabilities": ["io.kubernetes.cri.pod-annotations"]}`:                             false,
		`{"capabilities": {"portMappings": true}}`:                                            false,
		`{"capabilities": {"io.kubernetes.cri.pod-annotations": false}}`:                      false,
		`{"capabilities": {"io.kubernetes.cri.pod-annotations": "true"}}`:                     false,
		`{"capabilities": {"portMappings": true, "io.kubernetes.cri.pod-annotations": true}}`: true,
	} {
		c, err := Parse([]byte(conf))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.HasAnnotationsCapability(); got != want {
			t.Errorf("%s: %t, want %t", conf, got, want)
		}
	}
}

func TestEnumerationsPrintAndParse(t *testing.T) {
	enumtest.PrintAndParse(t, map[Side]string{PodSide: "pod", HostSide: "host"})
	enumtest.PrintAndParse(t, map[PeerNapi]string{PeerNapiAuto: "auto", PeerNapiOff: "off"})
	enumtest.PrintAndParse(t, map[Scope]string{ScopeDefault: "", ScopeNode: "node"})
}

func TestEnumerationsRefuseWhatTheyDoNotHold(t *testing.T) {
	enumtest.Refuse(t, chain.ErrInvalid, []string{"Pod"}, Side(2))
	enumtest.Refuse(t, chain.ErrInvalid, []string{"cluster"}, Scope(3))
	enumtest.Refuse(t, chain.ErrInvalid, []string{"on"}, PeerNapi(2))
}
