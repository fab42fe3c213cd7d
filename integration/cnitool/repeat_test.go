// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestAnswerIsPrevResult(t *testing.T) {
	for _, cniVersion := range cniVersions {
		t.Run(cniVersion, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := plugintest.WiredPod(t, 0)
			conf := p.Chained(fields{"cniVersion": cniVersion}, fields{"name": "pass"})
			out := p.Must(t, "ADD", conf)
			if diff := cmp.Diff(decode(t, encode(t, conf["prevResult"])), decode(t, out)); diff != "" {
				t.Errorf("prevResult and what ADD printed differ (-want +got):\n%s", diff)
			}
			for _, verb := range []string{"CHECK", "DEL"} {
				if out := p.Must(t, verb, conf); len(out) != 0 {
					t.Errorf("%s printed %s, want nothing", verb, out)
				}
			}
		})
	}
}

func decode(t *testing.T, content []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(content, &value); err != nil {
		t.Fatalf("%s: %v", content, err)
	}
	return value
}

func TestRepeatedAddChangesNothing(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	conf := p.Chained(nil, fields{"name": "count"}, closing(60))
	p.Must(t, "ADD", conf)
	before, on := *p.ChainOn(t, "pod"), p.XDP(t)
	p.Must(t, "ADD", conf)
	if diff := cmp.Diff(before, *p.ChainOn(t, "pod")); diff != "" {
		t.Errorf("the chain changed (-first +second):\n%s", diff)
	}
	if again := p.XDP(t); again != on {
		t.Errorf("program %+v after the second ADD, %+v after the first", again, on)
	}
	p.Must(t, "DEL", conf)
}

// An ADD with another configuration swaps the chain. Counts of a member that
// stays are kept, those of one that goes are gone with it.
func TestAddWithChangedConfiguration(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	p.Must(t, "ADD", p.Chained(nil, closing(10)))
	cut := append(make([]byte, 12), 0x08, 0x00) // IPv4 cut short: acl drops it
	testenv.Send(t, "", p.Host, cut, cut, cut)
	dropped := func() uint64 { return p.StatsOn(t, "pod").Packets("acl", "drop") }
	if got := eventually(t, dropped, 3); got != 3 {
		t.Fatalf("acl dropped %d, want 3", got)
	}
	first := p.ChainOn(t, "pod")

	changed := p.Chained(nil, fields{"name": "pass", "priority": 5}, closing(10))
	p.Must(t, "ADD", changed)
	second := p.ChainOn(t, "pod")
	if diff := cmp.Diff([]string{"pass", "acl"}, second.MemberNames()); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if second.Generation <= first.Generation {
		t.Errorf("generation %d after %d", second.Generation, first.Generation)
	}
	if got := dropped(); got != 3 {
		t.Errorf("acl, which stayed, has %d drops, want the 3 from before", got)
	}
	p.Must(t, "CHECK", changed)

	p.Must(t, "ADD", p.Chained(nil))
	if on := p.XDP(t); on.Program != 0 {
		t.Errorf("program %d is on the interface of a pod without programs", on.Program)
	}
	p.Must(t, "DEL", changed)
}

func TestVersion(t *testing.T) {
	testenv.NoLeaks(t)
	p := &plugintest.Pod{}
	out := p.Must(t, "VERSION", fields{"cniVersion": "1.1.0"})
	var said struct {
		Supported []string `json:"supportedVersions"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	for _, cniVersion := range cniVersions {
		if !strings.Contains(strings.Join(said.Supported, " "), cniVersion) {
			t.Errorf("supported versions %v lack %s", said.Supported, cniVersion)
		}
	}
	// Run by hand, the plugin says what it is.
	cmd := exec.Command(plugintest.Binary(t, "xdp-chain"))
	if about, _ := cmd.CombinedOutput(); !bytes.Contains(about, []byte("xdp-chain")) {
		t.Errorf("run without CNI_COMMAND it says %q", about)
	}
}
