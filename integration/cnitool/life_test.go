// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

var cniVersions = []string{"0.4.0", "1.0.0", "1.1.0"}

// A pod's whole life, for each runtime, first plugin, version of CNI and of IP.
func TestLife(t *testing.T) {
	for _, r := range runtimes {
		for _, first := range []string{"bridge", "ptp"} {
			for _, cniVersion := range cniVersions {
				for _, f := range families {
					t.Run(fmt.Sprintf("%s/%s/%s/%s", r.name, first, cniVersion, f.name), func(t *testing.T) {
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
	p.id = r.containerID(p)
	if err := r.check(p); err != nil {
		t.Errorf("CHECK right after ADD: %s", describe(err))
	}
	c := p.chainOn(t, "pod")
	wantOwner := []listedOwner{{"attachment", network, p.id, "eth0", "shop", p.podName()}}
	if diff := cmp.Diff(wantOwner, c.Owners); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"count", "acl"}, c.memberNames()); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}

	ip := p.address(t, f)
	open := listen(t, p.netns, netip.AddrPortFrom(ip, openPort))
	closed := listen(t, p.netns, netip.AddrPortFrom(ip, closedPort))
	reach(t, "", open)
	before := p.statsOn(t, "pod")
	wantThrough(t, "", open, 5, true)
	wantThrough(t, "", closed, 7, false)
	after := p.statsOn(t, "pod")
	if got := after.packets("acl", "drop") - before.packets("acl", "drop"); got != 7 {
		t.Errorf("stats say that acl dropped %d, want 7", got)
	}
	if got := after.packets("(end)", "pass") - before.packets("(end)", "pass"); got < 5 {
		t.Errorf("stats say that %d went through, want 5 at least", got)
	}
	if err := r.check(p); err != nil {
		t.Errorf("CHECK: %s", describe(err))
	}
	if err := r.del(p); err != nil {
		t.Errorf("DEL: %s", describe(err))
	}
	if left := chains(t); len(left) != 0 {
		t.Errorf("listed after DEL: %+v", left)
	}
}

// The sums of stats are the packets that entered, no more and no less.
func TestSumsAreWhatEntered(t *testing.T) {
	testenv.NoLeaks(t)
	p := wiredPod(t, 0)
	two := object(t, "two.o")
	conf := p.chained(nil,
		fields{"name": "count", "priority": 0},
		fields{"name": "first", "object": two, "function": "first", "priority": 1, "proceedOn": []string{"pass"}},
		closing(2))
	p.must(t, "ADD", conf)
	ethernet := make([]byte, 14)
	frame := func(payload ...byte) []byte { return append(ethernet[:12:12], payload...) }
	frames := [][]byte{
		frame(0x88, 0xb5, 1, 2, 3), // local experimental EtherType: passes
		frame(0x08, 0x00, 0x45),    // IPv4 cut short: acl drops it
		frame(0x08, 0x06),          // ARP passes
	}
	const rounds = 100
	for range rounds {
		testenv.Send(t, "", p.host, frames...)
	}
	got := eventually(t, func() uint64 { return p.statsOn(t, "pod").total() }, rounds*uint64(len(frames)))
	if got != rounds*uint64(len(frames)) {
		t.Errorf("the sum of all rows is %d, want %d", got, rounds*len(frames))
	}
	c := p.statsOn(t, "pod")
	if dropped := c.packets("acl", "drop"); dropped != rounds {
		t.Errorf("acl dropped %d, want %d", dropped, rounds)
	}
	if passed := c.packets("(end)", "pass"); passed != 2*rounds {
		t.Errorf("%d went through, want %d", passed, 2*rounds)
	}
	p.must(t, "DEL", conf)
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
