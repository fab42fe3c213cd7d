// SPDX-License-Identifier: Apache-2.0

package ratelimit_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	x "github.com/xdp-chain/xdp-chain/bpf/internal/xdptest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// prefix is struct prefix of ratelimit.c: an IPv6 address, of IPv4 the mapped one.
type prefix [16]byte

// bucket is struct bucket of ratelimit.c, in ns of CLOCK_MONOTONIC.
type bucket struct{ PacketsFullAt, BitsFullAt uint64 }

// owed is how long the bucket of packets takes until it is full.
func (b bucket) owed(t testing.TB) time.Duration {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return time.Duration(b.PacketsFullAt) - time.Duration(now.Nano())
}

// sources returns the buckets there are.
func sources(t testing.TB, m *ebpf.Map) map[netip.Addr]bucket {
	t.Helper()
	all := make(map[netip.Addr]bucket)
	var key prefix
	var value bucket
	entries := m.Iterate()
	for entries.Next(&key, &value) {
		all[netip.AddrFrom16(key).Unmap()] = value
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// However many sources there are, the map keeps to its size; each of them has its
// burst, and what was forgotten has it again.
func TestSpoofedSources(t *testing.T) {
	const spoofed = 100_000
	traffic := newTraffic(t, spoofed, time.Second, globals{"pps": uint32(1), "burst": uint32(1)})
	traffic.repeat(t, framed(64), spoofed)
	if o := traffic.outcome(t); o.passed < spoofed || o.dropped > 0 {
		t.Errorf("of %d sources %d packets passed, %d did not; want one of each", spoofed, o.passed, o.dropped)
	}
	m := traffic.Maps["ratelimit"]["sources"]
	kept := len(sources(t, m))
	if size := int(m.MaxEntries()); kept > size || kept < size/2 {
		t.Errorf("%d buckets, want at most %d and most of them used", kept, size)
	}
}

// A source that goes on sending is not forgotten over others that do not: a flood
// that comes from everywhere gives it no more than its rate.
func TestBusySourceIsKept(t *testing.T) {
	testenv.ShardByKernel(t, 2)
	const rounds, spoofed = 50, 50_000
	traffic := newTraffic(t, spoofed, time.Second, globals{"pps": uint32(1), "burst": uint32(rounds)})
	busy := netip.MustParseAddr("2001:db8::")
	for range rounds {
		traffic.repeat(t, udp6(busy.String()), 2)
		traffic.repeat(t, framed(64), spoofed/rounds)
	}
	b, ok := sources(t, traffic.Maps["ratelimit"]["sources"])[busy]
	if !ok {
		t.Fatal("the busy source was forgotten")
	}
	if owed := b.owed(t); owed < time.Second*rounds/2 {
		t.Errorf("%d packets at 1 a second are owed %v: the bucket was forgotten meanwhile", 2*rounds, owed)
	}
}

// The map's keys say who is limited, and its values for how long.
func TestMap(t *testing.T) {
	coll := x.Load(t, spec(t, globals{"pps": uint32(1), "burst": uint32(10), "ipv4_prefix": uint8(24), "ipv6_prefix": uint8(48)}))
	for _, frame := range [][]byte{udp4("192.0.2.77"), udp4("192.0.2.78"), udp6("2001:db8:1:2::3"), x.Ethernet(x.EtherTypeLLDP, nil)} {
		x.Run(t, coll.Programs["ratelimit"], frame)
	}
	got := sources(t, coll.Maps["sources"])
	want := map[string]time.Duration{"192.0.2.0": 2 * time.Second, "2001:db8:1::": time.Second, "::": time.Second}
	if len(got) != len(want) {
		t.Errorf("%d buckets, want %d: %v", len(got), len(want), got)
	}
	for address, most := range want {
		b, ok := got[netip.MustParseAddr(address)]
		if !ok {
			t.Errorf("no bucket of %s: %v", address, got)
		} else if owed := b.owed(t); owed > most || owed < most-time.Second {
			t.Errorf("%s: full again in %v, want %v and little less", address, owed, most)
		}
	}
}
