// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func exampleSample() *sample {
	s := &sample{
		at: time.Unix(1000, 0),
		stats: []inspect.ChainStats{
			{Key: podKey, Interface: "eth0", Rows: []chain.Count{
				{Member: "acl", Verdict: chain.VerdictDrop, Packets: 12},
				{Member: "(end)", Verdict: chain.VerdictPass, Packets: 30000000000},
			}},
			{Key: hostKey, Interface: "veth3f2a11c0", Rows: []chain.Count{}},
			{Key: offKey, Interface: "eth0", Rows: []chain.Count{}, Reason: "counters are off"},
		},
	}
	for i, c := range s.stats {
		at := slices.IndexFunc(exampleChains(), func(other inspect.Chain) bool { return other.Key == c.Key })
		s.stats[i].Owners, s.stats[i].NetNS = exampleChains()[at].Owners, exampleChains()[at].NetNS
	}
	return s
}

func TestStatsTable(t *testing.T) {
	wantText(t, `
CHAIN    POD           INTERFACE     DECIDED BY  VERDICT  PACKETS
20481-2  shop/web-0    eth0          acl         drop          12
                                     (end)       pass     30000000000
                                     total                30000000012
1-1017   shop/web-0    veth3f2a11c0  total                      0
4-3      /run/netns/b  eth0          counters are off
`, exampleSample().text(render.Screen{}, nil))
}

func TestStatsTableOfAChainThatIsGone(t *testing.T) {
	s := exampleSample()
	s.stats = s.stats[:2]
	s.stats[0].State, s.stats[0].Reason = state.Gone, "its network namespace is gone"
	s.stats[1].State, s.stats[1].Reason = state.Detached, "its link was taken off"
	wantText(t, `
CHAIN    POD         INTERFACE     DECIDED BY  VERDICT  PACKETS
20481-2  shop/web-0  eth0          acl         drop          12
                                   (end)       pass     30000000000
                                   total                30000000012
                                   gone: its network namespace is gone
1-1017   shop/web-0  veth3f2a11c0  detached: its link was taken off
`, s.text(render.Screen{}, nil))
}

func TestStatsTableWithRates(t *testing.T) {
	before, now := exampleSample(), exampleSample()
	now.at = before.at.Add(2 * time.Second)
	now.stats[0].Rows = []chain.Count{
		{Member: "count", Verdict: chain.VerdictAborted, Packets: 1},
		{Member: "acl", Verdict: chain.VerdictDrop, Packets: 20},
		{Member: "(end)", Verdict: chain.VerdictPass, Packets: 30000000000},
	}
	before.stats = before.stats[:1] // the other chains are new
	got := now.text(render.Screen{}, before)
	for _, want := range []string{
		"PACKETS      PER SECOND\n",
		"count       aborted        1               0\n",
		"acl         drop          20               4\n",
		"(end)       pass     30000000000           0\n",
		"total                30000000021           4\n",
		"veth3f2a11c0  total                      0\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("table lacks %q:\n%s", want, got)
		}
	}
}

func TestNoCounts(t *testing.T) {
	got := (&sample{}).text(render.Screen{}, nil)
	if want := "no chains on this node\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
