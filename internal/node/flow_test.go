// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

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
	text, err := json.MarshalIndent(ChainFlows{
		Key: chain.Key{Cookie: 20481, Ifindex: 2}, Interface: "eth0", NetNS: "/run/netns/a", Side: config.PodSide, Member: "flow-stats",
		Owner: record.Owner{Kind: record.OwnerAttachment, Network: "podnet", ContainerID: "c1", Ifname: "eth0", PodNamespace: "shop", PodName: "web-0"},
		Flows: []Flow{
			{Protocol: 6, Source: netip.MustParseAddr("10.0.0.1"), SourcePort: 40000, Destination: netip.MustParseAddr("10.0.0.2"), DestinationPort: 80, Traffic: Traffic{2, 120}, FirstSeen: seen, LastSeen: seen},
			{Protocol: 253, Source: netip.MustParseAddr("::ffff:10.0.0.1"), Destination: netip.MustParseAddr("2001:db8::1"), LaterFragments: true, Traffic: Traffic{1, 60}, FirstSeen: seen, LastSeen: seen},
		},
		Forgotten: Traffic{1, 60},
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

// The largest come first, and equal ones in an order that is the same every time.
func TestOrderOfFlows(t *testing.T) {
	low, high := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")
	want := []Flow{
		{Source: high, Destination: high, Traffic: Traffic{1, 200}},
		{Source: high, Destination: high, Traffic: Traffic{2, 100}},
		{Source: low, Destination: low, Protocol: 6, SourcePort: 1, DestinationPort: 9, Traffic: Traffic{1, 100}},
		{Source: low, Destination: low, Protocol: 6, SourcePort: 2, DestinationPort: 8, Traffic: Traffic{1, 100}},
		{Source: low, Destination: low, Protocol: 6, SourcePort: 2, DestinationPort: 9, Traffic: Traffic{1, 100}},
		{Source: low, Destination: low, Protocol: 17, Traffic: Traffic{1, 100}},
		{Source: low, Destination: low, Protocol: 17, LaterFragments: true, Traffic: Traffic{1, 100}},
		{Source: low, Destination: high, Traffic: Traffic{1, 100}},
		{Source: high, Destination: low, Traffic: Traffic{1, 100}},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, bySize)
	if diff := cmp.Diff(want, got, withoutTimes); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}
