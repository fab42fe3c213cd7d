// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	flowstats "github.com/xdp-chain/xdp-chain/bpf/flow-stats"
	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
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

// flowsNow is when the example is looked at.
var flowsNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func exampleFlow(protocol flowstats.IPProtocol, source, destination string, packets, bytes uint64, first, last time.Duration) flowstats.Flow {
	from, to := netip.MustParseAddrPort(source), netip.MustParseAddrPort(destination)
	return flowstats.Flow{
		Protocol: protocol, Source: from.Addr(), SourcePort: from.Port(), Destination: to.Addr(), DestinationPort: to.Port(),
		Traffic: flowstats.Traffic{Packets: packets, Bytes: bytes}, FirstSeen: flowsNow.Add(-first), LastSeen: flowsNow.Add(-last),
	}
}

func exampleFlows() []inspect.ChainFlows {
	owner := record.Owner{Network: "podnet", ContainerID: "c1", Ifname: "eth0", PodNamespace: "shop", PodName: "web-0"}
	fragments := exampleFlow(17, "10.244.3.17:0", "10.244.1.5:0", 12, 16000, 2*time.Hour, time.Minute)
	fragments.LaterFragments = true
	return []inspect.ChainFlows{
		{
			Key: podKey, Interface: "eth0", NetNS: "/run/netns/a", Side: config.PodSide, Member: "flow-stats", Owner: owner,
			Flows: []flowstats.Flow{
				exampleFlow(6, "10.244.1.117:43210", "10.244.1.5:8080", 1234567, 987654321, 49*time.Hour, 0),
				fragments,
				exampleFlow(6, "[fd00:88::1]:43210", "[fd00:88::2]:443", 7, 700, 119*time.Second, 2*time.Minute),
				exampleFlow(1, "10.244.1.1:0", "10.244.1.5:0", 3, 294, 90*time.Minute, -time.Second),
				exampleFlow(253, "10.244.1.1:0", "10.244.1.5:0", 1, 60, 0, 0),
				exampleFlow(17, "10.244.1.1:0", "10.244.1.5:53", 1, 60, 0, 0),
			},
			Forgotten: flowstats.Traffic{Packets: 40, Bytes: 2400}, NotIP: flowstats.Traffic{Packets: 2, Bytes: 84}, Unreadable: flowstats.Traffic{Packets: 1, Bytes: 20},
		},
		{Key: hostKey, Interface: "veth3f2a11c0", NetNS: "/proc/1/ns/net", Side: config.HostSide, Member: "flows", Owner: owner, Shared: `its maps are those of all pods of network "podnet"`},
		{Key: offKey, Interface: "eth0", NetNS: "/run/netns/b", Side: config.PodSide, Member: "flow-stats", Owner: record.Owner{Network: "podnet"}, Reason: `the pin of map "flows" is missing`},
	}
}

func TestFlowsTable(t *testing.T) {
	wantText(t, `
CHAIN    POD           INTERFACE     SIDE  MEMBER
20481-2  shop/web-0    eth0          pod   flow-stats
  PROTO  SOURCE              DESTINATION       PACKETS      BYTES  FIRST  LAST
  tcp    10.244.1.117:43210  10.244.1.5:8080   1234567  987654321     2d    0s
  udp    10.244.3.17         10.244.1.5             12      16000     2h   60s
  tcp    [fd00:88::1]:43210  [fd00:88::2]:443        7        700   119s    2m
  icmp   10.244.1.1          10.244.1.5              3        294    90m    0s
  253    10.244.1.1          10.244.1.5              1         60     0s    0s
  udp    10.244.1.1:0        10.244.1.5:53           1         60     0s    0s
         (forgotten)                                40       2400
         (not IP)                                    2         84
         (unreadable)                                1         20
1-1017   shop/web-0    veth3f2a11c0  host  flows
  its maps are those of all pods of network "podnet"
  no packets yet
4-3      /run/netns/b  eth0          pod   flow-stats
  the pin of map "flows" is missing
`, flowsText(render.Screen{}, exampleFlows(), flowsNow))
}

func TestNoFlows(t *testing.T) {
	got := flowsText(render.Screen{}, nil, flowsNow)
	if want := "no chain on this node has a member flow-stats\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 999 * time.Millisecond: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m",
		119 * time.Minute: "119m", 2 * time.Hour: "2h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 1000 * 24 * time.Hour: "1000d",
	} {
		if got := ago(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
