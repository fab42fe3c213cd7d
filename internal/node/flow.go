// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// ChainFlows are the flows that one member of a chain has counted. Its JSON form is as
// stable as that of [Chain].
type ChainFlows struct {
	Key       chain.Key   `json:"key"`
	Interface string      `json:"interface"`
	NetNS     string      `json:"netns"` // as in [Chain]
	Side      config.Side `json:"side"`
	// Member is the member's name, and Owner who put it into the chain.
	Member string       `json:"member"`
	Owner  record.Owner `json:"owner"`
	// Flows are those that the member remembers, the largest first.
	Flows []Flow `json:"flows"`
	// Forgotten is what flows counted that had to make room for others, at the least:
	// packets that come while the maps are being read may be missing in it.
	Forgotten Traffic `json:"forgotten"`
	// NotIP is what came besides, and Unreadable IP of which the flow cannot be told.
	NotIP      Traffic `json:"notIP"`
	Unreadable Traffic `json:"unreadable"`
	// Shared says with whom the member shares its maps, so that the flows are not this
	// chain's alone.
	Shared string `json:"shared,omitempty"`
	// Reason says why there is nothing to show.
	Reason string `json:"reason,omitempty"`
}

// Flow is what a member has counted of the packets that have the same protocol,
// addresses and ports.
type Flow struct {
	Protocol Protocol   `json:"protocol"`
	Source   netip.Addr `json:"source"`
	// The ports are 0 where the protocol has none, and in later fragments.
	SourcePort      uint16     `json:"sourcePort"`
	Destination     netip.Addr `json:"destination"`
	DestinationPort uint16     `json:"destinationPort"`
	// LaterFragments tells that these are the fragments of the protocol's packets that
	// do not have its ports, all but the first of each packet.
	LaterFragments bool `json:"laterFragments,omitempty"`
	Traffic
	// The times of the first and the last packet, to the millisecond. They were taken by
	// the clock that counts from boot, so all of them move when the wall clock is set.
	FirstSeen time.Time `json:"firstSeen"`
	LastSeen  time.Time `json:"lastSeen"`
}

// Traffic is a number of packets, and of the bytes of their frames, Ethernet headers
// included.
type Traffic struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// less returns what t has more than other, and nothing where it has not.
func (t Traffic) less(other Traffic) Traffic {
	return Traffic{t.Packets - min(t.Packets, other.Packets), t.Bytes - min(t.Bytes, other.Bytes)}
}

// bySize puts the largest flow first, and leaves nothing to chance.
func bySize(a, b Flow) int {
	return cmp.Or(
		cmp.Compare(b.Bytes, a.Bytes),
		cmp.Compare(b.Packets, a.Packets),
		a.Source.Compare(b.Source),
		a.Destination.Compare(b.Destination),
		cmp.Compare(a.Protocol, b.Protocol),
		cmp.Compare(a.SourcePort, b.SourcePort),
		cmp.Compare(a.DestinationPort, b.DestinationPort),
		compareBools(a.LaterFragments, b.LaterFragments),
	)
}

// compareBools puts false first.
func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
