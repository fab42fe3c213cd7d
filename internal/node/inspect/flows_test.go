// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	flowstats "github.com/xdp-chain/xdp-chain/bpf/flow-stats"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// flow is what flow-stats makes of count of the tests' frames.
func flow(count int) flowstats.Flow {
	return flowstats.Flow{
		Protocol: 17,
		Source:   netip.MustParseAddr("192.0.2.1"), SourcePort: 12345,
		Destination: netip.MustParseAddr("192.0.2.2"), DestinationPort: 9,
		Traffic: flowstats.Traffic{Packets: uint64(count), Bytes: uint64(count * len(nodetest.Frame))},
	}
}

// withoutTimes compares flows by what does not depend on when the test runs.
var withoutTimes = cmp.Options{
	cmpopts.IgnoreFields(flowstats.Flow{}, "FirstSeen", "LastSeen"),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

func flowsOf(t *testing.T, n *node.Node) []inspect.ChainFlows {
	t.Helper()
	list, err := inspect.Flows(n.Node)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// flowMember is flow-stats by another name and from a file, as an older version's or
// an admin's own copy is.
func flowMember(t *testing.T, name string) config.Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "object.o")
	nodetest.Copy(t, "bpf/flow-stats/flow-stats.o", path)
	return config.Program{Name: name, Object: path}
}

// docs/xdpctl.md promises these fields.
func TestFlowsInJSON(t *testing.T) {
	const want = `{
  "key": "20481-2",
  "interface": "eth0",
  "netns": "/run/netns/a",
  "side": "pod",
  "member": "flow-stats",
  "owner": {
    "kind": "attachment",
    "network": "podnet",
    "containerID": "c1",
    "ifname": "eth0",
    "podNamespace": "shop",
    "podName": "web-0"
  },
  "flows": [
    {
      "protocol": "tcp",
      "source": "10.0.0.1",
      "sourcePort": 40000,
      "destination": "10.0.0.2",
      "destinationPort": 80,
      "packets": 2,
      "bytes": 120,
      "firstSeen": "2026-01-02T03:04:05.006Z",
      "lastSeen": "2026-01-02T03:04:05.006Z"
    },
    {
      "protocol": "253",
      "source": "::ffff:10.0.0.1",
      "sourcePort": 0,
      "destination": "2001:db8::1",
      "destinationPort": 0,
      "laterFragments": true,
      "packets": 1,
      "bytes": 60,
      "firstSeen": "2026-01-02T03:04:05.006Z",
      "lastSeen": "2026-01-02T03:04:05.006Z"
    }
  ],
  "forgotten": {
    "packets": 1,
    "bytes": 60
  },
  "notIP": {
    "packets": 0,
    "bytes": 0
  },
  "unreadable": {
    "packets": 0,
    "bytes": 0
  }
}`
	seen := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
	text, err := json.MarshalIndent(inspect.ChainFlows{
		Key: chain.Key{Cookie: 20481, Ifindex: 2}, Interface: "eth0", NetNS: "/run/netns/a", Side: config.PodSide, Member: "flow-stats",
		Owner: record.Owner{Kind: record.OwnerAttachment, Network: "podnet", ContainerID: "c1", Ifname: "eth0", PodNamespace: "shop", PodName: "web-0"},
		Flows: []flowstats.Flow{
			{Protocol: 6, Source: netip.MustParseAddr("10.0.0.1"), SourcePort: 40000, Destination: netip.MustParseAddr("10.0.0.2"), DestinationPort: 80, Traffic: flowstats.Traffic{Packets: 2, Bytes: 120}, FirstSeen: seen, LastSeen: seen},
			{Protocol: 253, Source: netip.MustParseAddr("::ffff:10.0.0.1"), Destination: netip.MustParseAddr("2001:db8::1"), LaterFragments: true, Traffic: flowstats.Traffic{Packets: 1, Bytes: 60}, FirstSeen: seen, LastSeen: seen},
		},
		Forgotten: flowstats.Traffic{Packets: 1, Bytes: 60},
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

func TestFlows(t *testing.T) {
	for _, w := range nodetest.Ways {
		t.Run(w.String(), func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := node.Default(), w.Pod(t)
			p.Apply(t, n, nodetest.Programs("count", "flow-stats")...)
			defer p.Remove(t, n)
			before := time.Now().Add(-10 * time.Millisecond) // two clocks are read one after the other
			arp := append(nodetest.Frame[:12:12], 0x08, 0x06)
			cut := nodetest.Frame[:30]
			p.SendFrames(t, n, nodetest.Frame, nodetest.Frame, nodetest.Frame, append(arp, make([]byte, 46)...), cut)

			on := p.Chain(t, n, config.PodSide)
			want := []inspect.ChainFlows{{
				Key: on.Key, Interface: "eth0", NetNS: p.NetNS, Side: config.PodSide, Member: "flow-stats", Owner: p.Owner,
				Flows: []flowstats.Flow{flow(3)}, NotIP: flowstats.Traffic{Packets: 1, Bytes: 60}, Unreadable: flowstats.Traffic{Packets: 1, Bytes: uint64(len(cut))},
			}}
			got := flowsOf(t, n)
			if diff := cmp.Diff(want, got, withoutTimes); diff != "" {
				t.Fatalf("flows (-want +got):\n%s", diff)
			}
			if f := got[0].Flows[0]; f.FirstSeen.Before(before) || f.LastSeen.Before(f.FirstSeen) || f.LastSeen.After(time.Now().Add(10*time.Millisecond)) {
				t.Errorf("seen from %v to %v, sent from %v on", f.FirstSeen, f.LastSeen, before)
			}
		})
	}
}

// Flows stay when other members come and go, and go when the member does.
func TestFlowsOverChanges(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("flow-stats")...)
	defer p.Remove(t, n)
	p.Send(t, n, 2)
	p.Apply(t, n, nodetest.Programs("flow-stats", "count")...)
	p.Send(t, n, 1)
	got := flowsOf(t, n)
	if len(got) != 1 || len(got[0].Flows) != 1 || got[0].Flows[0].Packets != 3 {
		t.Errorf("after a change: %+v", got)
	}
	p.Apply(t, n, nodetest.Programs("count")...)
	if got := flowsOf(t, n); len(got) != 0 {
		t.Errorf("without the member: %+v", got)
	}
}

// Members are known by their maps, not by what they are called.
func TestWhoseFlows(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	stranger := flowMember(t, "flow-stats")
	nodetest.Copy(t, "bpf/count/count.o", stranger.Object)
	p.Apply(t, n, stranger, flowMember(t, "by-another-name"), nodetest.OnHost(nodetest.At(10, "flow-stats")))
	defer p.Remove(t, n)
	members := map[config.Side]string{}
	for _, c := range flowsOf(t, n) {
		members[c.Side] += c.Member
	}
	if diff := cmp.Diff(map[config.Side]string{config.PodSide: "by-another-name", config.HostSide: "flow-stats"}, members); diff != "" {
		t.Errorf("members with flows (-want +got):\n%s", diff)
	}
}

// What the map had no room for is not kept secret.
func TestForgottenFlows(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	small := nodetest.At(10, "flow-stats")
	small.Maps = map[string]config.MapSettings{flowstats.FlowsMap: {MaxEntries: 4}}
	p.Apply(t, n, small)
	defer p.Remove(t, n)
	const count = 50
	frames := make([][]byte, count)
	for i := range frames {
		frames[i] = slices.Clone(nodetest.Frame)
		frames[i][35] = byte(i) // source port
	}
	p.SendFrames(t, n, frames...)
	c := flowsOf(t, n)[0]
	if kept := len(c.Flows); kept == 0 || kept == count || c.Forgotten != (flowstats.Traffic{Packets: uint64(count - kept), Bytes: uint64((count - kept) * len(nodetest.Frame))}) {
		t.Errorf("%d flows of %d, forgotten %+v", kept, count, c.Forgotten)
	}
}

func TestFlowsInSharedMaps(t *testing.T) {
	testenv.NoLeaks(t)
	n, first, second := node.Default(), nodetest.NewPod(t, 0), nodetest.NewPod(t, 0)
	shared := nodetest.At(10, "flow-stats")
	shared.Maps = map[string]config.MapSettings{flowstats.FlowsMap: {Scope: config.ScopeNode}}
	for i, p := range []*nodetest.Pod{first, second} {
		p.Apply(t, n, shared)
		defer p.Remove(t, n)
		p.Send(t, n, i+1)
	}
	got := flowsOf(t, n)
	if len(got) != 2 {
		t.Fatalf("%d chains with flows", len(got))
	}
	for _, c := range got {
		if diff := cmp.Diff([]flowstats.Flow{flow(3)}, c.Flows, withoutTimes); diff != "" {
			t.Errorf("flows of %s (-want +got):\n%s", c.Key, diff)
		}
		if !strings.Contains(c.Shared, `all pods of network "podnet"`) || c.Forgotten != (flowstats.Traffic{}) {
			t.Errorf("shared %q, forgotten %+v", c.Shared, c.Forgotten)
		}
	}
}

func TestFlowsWithoutTheirPin(t *testing.T) {
	for _, name := range []string{flowstats.FlowsMap, flowstats.TotalsMap} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := node.Default(), nodetest.NewPod(t, 0)
			p.Apply(t, n, nodetest.Programs("flow-stats")...)
			defer p.Remove(t, n)
			p.Unpin(t, n, "maps/flow-stats/"+name)
			got := flowsOf(t, n)
			if len(got) != 1 || got[0].Reason != `the pin of map "`+name+`" is missing` || len(got[0].Flows) != 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}
