// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

var cniVersions = []string{"0.4.0", "1.0.0", "1.1.0"}

// A pod's whole life, for each runtime, first plugin, version of CNI and of IP. Where
// tests are to be short it is every fifth of these lives, among which each of the
// values still occurs, and they take turns.
func TestLife(t *testing.T) {
	lives := 0
	for _, r := range runtimes {
		for _, first := range []string{"bridge", "ptp"} {
			for _, cniVersion := range cniVersions {
				for _, f := range families {
					if lives++; testing.Short() && lives%5 != 1 {
						continue
					}
					life := lives / 5
					t.Run(fmt.Sprintf("%s/%s/%s/%s", r.name, first, cniVersion, f.name), func(t *testing.T) {
						testenv.ShardByKernel(t, life)
						testenv.NoLeaks(t)
						list := pluginList(t, first, cniVersion, f, ours(nil, fields{"name": "count", "priority": 1}, closing(10)))
						live(t, r.make(t, list), f)
					})
				}
			}
		}
	}
}

func live(t *testing.T, r runtime, f family) {
	t.Helper()
	p := start(t, r)
	p.ID = r.containerID(p)
	if err := r.check(p); err != nil {
		t.Errorf("CHECK right after ADD: %s", plugintest.Describe(err))
	}
	c := p.ChainOn(t, "pod")
	wantOwner := []plugintest.ListedOwner{{
		Kind: "attachment", Network: plugintest.Network, ContainerID: p.ID, Ifname: "eth0",
		PodNamespace: "shop", PodName: p.PodName(),
	}}
	if diff := cmp.Diff(wantOwner, c.Owners); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"count", "acl"}, c.MemberNames()); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}

	ip := address(t, p, f)
	open := listen(t, p.NetNS, netip.AddrPortFrom(ip, openPort))
	closed := listen(t, p.NetNS, netip.AddrPortFrom(ip, closedPort))
	reach(t, "", open)
	before := p.StatsOn(t, "pod")
	wantThrough(t, "", open, 5, true)
	wantThrough(t, "", closed, 7, false)
	after := p.StatsOn(t, "pod")
	if got := after.Packets("acl", "drop") - before.Packets("acl", "drop"); got != 7 {
		t.Errorf("stats say that acl dropped %d, want 7", got)
	}
	if got := after.Packets("(end)", "pass") - before.Packets("(end)", "pass"); got < 5 {
		t.Errorf("stats say that %d went through, want 5 at least", got)
	}
	if err := r.check(p); err != nil {
		t.Errorf("CHECK: %s", plugintest.Describe(err))
	}
	if err := r.del(p); err != nil {
		t.Errorf("DEL: %s", plugintest.Describe(err))
	}
	if left := plugintest.Chains(t); len(left) != 0 {
		t.Errorf("listed after DEL: %+v", left)
	}
}

// The sums of stats are the packets that entered, no more and no less.
func TestSumsAreWhatEntered(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	two := object(t, "two.o")
	conf := p.Chained(nil,
		fields{"name": "count", "priority": 0},
		fields{"name": "first", "object": two, "function": "first", "priority": 1, "proceedOn": []string{"pass"}},
		closing(2))
	p.Must(t, "ADD", conf)
	ethernet := make([]byte, 14)
	frame := func(payload ...byte) []byte { return append(ethernet[:12:12], payload...) }
	frames := [][]byte{
		frame(0x88, 0xb5, 1, 2, 3), // local experimental EtherType: passes
		frame(0x08, 0x00, 0x45),    // IPv4 cut short: acl drops it
		frame(0x08, 0x06),          // ARP passes
	}
	const rounds = 100
	for range rounds {
		testenv.Send(t, "", p.Host, frames...)
	}
	got := eventually(t, func() uint64 { return p.StatsOn(t, "pod").Total() }, rounds*uint64(len(frames)))
	if got != rounds*uint64(len(frames)) {
		t.Errorf("the sum of all rows is %d, want %d", got, rounds*len(frames))
	}
	c := p.StatsOn(t, "pod")
	if dropped := c.Packets("acl", "drop"); dropped != rounds {
		t.Errorf("acl dropped %d, want %d", dropped, rounds)
	}
	if passed := c.Packets("(end)", "pass"); passed != 2*rounds {
		t.Errorf("%d went through, want %d", passed, 2*rounds)
	}
	p.Must(t, "DEL", conf)
}

// eventually reads a figure until it is what is wanted, or a while is over: a
// packet is counted soon after it was sent.
func eventually(t *testing.T, read func() uint64, want uint64) (got uint64) {
	t.Helper()
	for range 50 {
		if got = read(); got == want {
			return got
		}
	}
	return got
}

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
