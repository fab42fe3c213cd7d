// SPDX-License-Identifier: Apache-2.0

package flowstats_test

import (
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	x "github.com/xdp-chain/xdp-chain/bpf/internal/xdptest"
)

// flow is struct flow of flow-stats.c.
type flow struct {
	Source, Destination                  [16]byte
	SourcePort, DestinationPort          [2]byte // big endian
	Protocol, IPVersion, Later, Reserved uint8
}

// flowTraffic is struct flow_traffic of flow-stats.c.
type flowTraffic struct{ Packets, Bytes, FirstSeen, LastSeen uint64 }

// traffic is struct traffic of flow-stats.c.
type traffic struct{ Packets, Bytes uint64 }

// The keys of map totals, enum total of flow-stats.c.
const (
	flows uint32 = iota
	notIP
	unreadable
)

// between is a flow between the addresses of v4 or v6, in the direction of their
// packets. Ports 0, 0 are those of a protocol without.
func between(source, destination netip.Addr, protocol uint8, sourcePort, destinationPort uint16) flow {
	f := flow{Source: source.As16(), Destination: destination.As16(), Protocol: protocol, IPVersion: 6}
	if source.Is4() {
		f.IPVersion = 4
	}
	f.SourcePort = [2]byte{byte(sourcePort >> 8), byte(sourcePort)}
	f.DestinationPort = [2]byte{byte(destinationPort >> 8), byte(destinationPort)}
	return f
}

// loaded is the program with its maps.
type loaded struct{ *ebpf.Collection }

func load(t testing.TB) loaded {
	t.Helper()
	return loaded{x.Load(t, x.Spec(t, "flow-stats"))}
}

// run runs the program on the frames and fails the test unless each one passes.
func (l loaded) run(t testing.TB, frames ...[]byte) {
	t.Helper()
	for _, frame := range frames {
		if verdict := x.Run(t, l.Programs["flow_stats"], frame); verdict != x.Pass {
			t.Errorf("verdict %d on %d bytes", verdict, len(frame))
		}
	}
}

// table returns the map of flows.
func (l loaded) table(t testing.TB) map[flow]flowTraffic {
	t.Helper()
	rows := map[flow]flowTraffic{}
	var key flow
	var value flowTraffic
	entries := l.Maps["flows"].Iterate()
	for entries.Next(&key, &value) {
		rows[key] = value
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// counts returns the map of flows without its times.
func (l loaded) counts(t testing.TB) map[flow]traffic {
	t.Helper()
	rows := map[flow]traffic{}
	for key, value := range l.table(t) {
		rows[key] = traffic{value.Packets, value.Bytes}
	}
	return rows
}

// total returns one of the totals, summed over the CPUs.
func (l loaded) total(t testing.TB, which uint32) (sum traffic) {
	t.Helper()
	var perCPU []traffic
	if err := l.Maps["totals"].Lookup(which, &perCPU); err != nil {
		t.Fatal(err)
	}
	for _, c := range perCPU {
		sum.Packets += c.Packets
		sum.Bytes += c.Bytes
	}
	return sum
}
