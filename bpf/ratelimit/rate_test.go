// SPDX-License-Identifier: Apache-2.0

package ratelimit_test

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// Of a flood as many packets pass as the rate says. Bursts are a second's here, so that
// what could not pass in a pause of the machine still can after it.
func TestRate(t *testing.T) {
	tests := []struct {
		name    string
		globals globals
		sources uint32
		bytes   int // of each frame
		pps     float64
	}{
		{"1,000 packets", globals{"pps": uint32(1000), "burst": uint32(1000)}, 1, 64, 1000},
		{"30,001 packets", globals{"pps": uint32(30_001), "burst": uint32(30_001)}, 1, 64, 30_001},
		{"12.112 Mbit of full frames", globals{"bps": uint64(12_112_000), "burst": uint32(1000)}, 1, 1514, 1000},
		{"121.12 Mbit of half frames", globals{"bps": uint64(121_120_000), "burst": uint32(10_000)}, 1, 757, 20_000},
		{"1.2112 Mbit of short frames", globals{"bps": uint64(1_211_200), "burst": uint32(100)}, 1, 64, 1_211_200. / (64 * 8)},
		{"each of 7 sources", globals{"pps": uint32(500), "burst": uint32(500)}, 7, 64, 7 * 500},
		{"each of 7 sources in bits", globals{"bps": uint64(1_211_200), "burst": uint32(100)}, 7, 757, 7 * 200},
		{"the pod", globals{"pps": uint32(500), "burst": uint32(500), "per": uint8(perPod)}, 7, 64, 500},
		{"the pod in bits", globals{"bps": uint64(1_211_200), "burst": uint32(100), "per": uint8(perPod)}, 7, 757, 200},
		{"both, packets are scarcer", globals{"pps": uint32(500), "bps": uint64(12_112_000), "burst": uint32(500)}, 1, 757, 500},
	}
	for i, tt := range tests {
		if testing.Short() && i%5 != 0 {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			traffic := newTraffic(t, tt.sources, 900*time.Millisecond, tt.globals)
			o := traffic.flood(t, framed(tt.bytes), 1, 2*time.Second)
			o.checkRate(t, o.FirstEmpty, tt.pps)
		})
	}
}

// With the burst that nobody has set, what passes in 2 s is the rate within 2 % though
// the bucket was full.
func TestRateWithDefaultBurst(t *testing.T) {
	testenv.ShardByKernel(t, 0)
	tests := map[string]globals{
		"the default": nil,
		"packets":     {"pps": uint32(1000)},
		"bits":        {"bps": uint64(512_000)},
		"both":        {"pps": uint32(1000), "bps": uint64(12_000_000)},
	}
	if testing.Short() {
		tests = map[string]globals{"bits": tests["bits"]}
	}
	for name, g := range tests {
		t.Run(name, func(t *testing.T) {
			traffic := newTraffic(t, 1, 10*time.Millisecond, g)
			o := traffic.flood(t, framed(64), 1, 2*time.Second)
			o.checkRate(t, o.First, 1000)
		})
	}
}

// CPUs that take from one bucket at once neither take too much nor get too little.
func TestRateOfSeveralCPUs(t *testing.T) {
	tests := map[string]globals{
		"the source": {"pps": uint32(20_000), "burst": uint32(20_000)},
		"the pod":    {"pps": uint32(20_000), "burst": uint32(20_000), "per": uint8(perPod)},
	}
	if testing.Short() {
		delete(tests, "the pod")
	}
	for name, g := range tests {
		t.Run(name, func(t *testing.T) {
			traffic := newTraffic(t, 1, 900*time.Millisecond, g)
			o := traffic.flood(t, framed(64), runtime.NumCPU(), 2*time.Second)
			o.checkRate(t, o.FirstEmpty, 20_000)
		})
	}
}

// framed returns a frame of IPv4 that is so many bytes long.
func framed(bytes int) []byte { return ipv4("0.0.0.0", make([]byte, bytes-34)) }

// A burst passes at once, and not one packet more than that and the rate make.
func TestBurst(t *testing.T) {
	testenv.ShardByKernel(t, 1)
	tests := []struct {
		name    string
		globals globals
		bytes   int
		want    uint64
		pps     float64 // how many more may pass in a second
	}{
		{"default, a fiftieth of a second", globals{"pps": uint32(1000)}, 64, 20, 1000},
		{"default, less than a packet", globals{"pps": uint32(1)}, 64, 1, 1},
		{"default of bits", globals{"bps": uint64(8_000_000)}, 100, 200, 10_000},
		{"1", globals{"pps": uint32(1), "burst": uint32(1)}, 64, 1, 1},
		{"5", globals{"pps": uint32(1), "burst": uint32(5)}, 64, 5, 1},
		{"100,000", globals{"pps": uint32(10), "burst": uint32(100_000)}, 64, 100_000, 10},
		{"5 full frames", globals{"bps": uint64(1), "burst": uint32(5)}, 1514, 5, 0},
		{"5 full frames' worth of halves", globals{"bps": uint64(1), "burst": uint32(5)}, 757, 10, 0},
		{"1 full frame's worth of larger ones", globals{"bps": uint64(1), "burst": uint32(1)}, 3000, 1, 0},
		{"of both, bits are scarcer", globals{"pps": uint32(1), "bps": uint64(1), "burst": uint32(5)}, 3028, 2, 0},
		{"of both, packets are scarcer", globals{"pps": uint32(1), "bps": uint64(1), "burst": uint32(5)}, 64, 5, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			traffic := newTraffic(t, 1, time.Second, tt.globals)
			traffic.repeat(t, framed(tt.bytes), 2*int(tt.want)+1000)
			o := traffic.outcome(t)
			most := tt.want + uint64(tt.pps*o.Now.since(o.First).Seconds()) + 1
			if tt.pps == 0 {
				most = tt.want
			}
			if o.passed < tt.want || o.passed > most {
				t.Errorf("%d of %d packets passed in %v, want %d to %d", o.passed, o.passed+o.dropped, o.Now.since(o.First), tt.want, most)
			}
		})
	}
}

// A bucket is full again after the time that it takes, and holds no more then.
func TestRefill(t *testing.T) {
	testenv.ShardByKernel(t, 2)
	const pps, burst = 20, 10
	traffic := newTraffic(t, 1, time.Second, globals{"pps": uint32(pps), "burst": uint32(burst)})
	for i := range 3 {
		before, begin := traffic.outcome(t).passed, time.Now()
		traffic.repeat(t, framed(64), 1000)
		most := burst + uint64(pps*time.Since(begin).Seconds()) + 1
		if passed := traffic.outcome(t).passed - before; passed < burst || passed > most {
			t.Errorf("burst %d: %d packets passed, want %d to %d", i, passed, burst, most)
		}
		time.Sleep(time.Second * burst / pps)
	}
}

// A packet that is dropped for one limit takes nothing from the other.
func TestDropsAreFree(t *testing.T) {
	traffic := newTraffic(t, 1, time.Second, globals{"pps": uint32(1), "bps": uint64(1), "burst": uint32(4)})
	traffic.repeat(t, framed(3028), 1000) // two of them fill the burst's bits
	first := traffic.outcome(t)
	if first.passed != 2 {
		t.Fatalf("%d packets passed, want 2", first.passed)
	}
	b := sources(t, traffic.Maps["ratelimit"]["sources"])[netip.MustParseAddr("0.0.0.0")]
	if owed := b.owed(t); owed > 2*time.Second {
		t.Errorf("2 packets that passed and %d that did not took %v of packets, want 2s at most", first.dropped, owed)
	}
}

// The largest and the smallest of everything.
func TestExtremes(t *testing.T) {
	testenv.ShardByKernel(t, 0)
	const (
		max32 = ^uint32(0)
		max64 = ^uint64(0)
	)
	tests := []struct {
		name      string
		globals   globals
		bytes     int
		unlimited bool
		passed    uint64 // of 10,000, where not all do
	}{
		{"all", globals{"pps": max32, "bps": max64, "burst": max32}, 64, true, 0},
		{"rates, and no burst", globals{"pps": max32, "bps": max64}, 1514, true, 0},
		{"rates, and the smallest burst", globals{"pps": max32, "bps": max64, "burst": uint32(1)}, 1514, true, 0},
		{"more bits than are told apart", globals{"bps": uint64(1) << 63, "burst": max32}, 1514, true, 0},
		{"burst at the smallest rate", globals{"pps": uint32(1), "burst": max32}, 64, true, 0},
		{"burst at the smallest rate of bits", globals{"bps": uint64(1), "burst": max32}, 1514, true, 0},
		{"both at the smallest rates", globals{"pps": uint32(1), "bps": uint64(1), "burst": max32}, 1514, true, 0},
		{"the smallest rate of bits", globals{"bps": uint64(1)}, 1514, false, 1},
		{"the smallest rate of bits, the smallest burst", globals{"bps": uint64(1), "burst": uint32(1)}, 1514, false, 1},
		{"the largest rate of packets with the smallest of bits", globals{"pps": max32, "bps": uint64(1)}, 64, false, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			traffic := newTraffic(t, 1, time.Second, tt.globals)
			traffic.repeat(t, framed(tt.bytes), 10_000)
			o := traffic.outcome(t)
			if tt.unlimited && o.dropped != 0 {
				t.Errorf("%d passed, %d dropped, want all to pass", o.passed, o.dropped)
			}
			if !tt.unlimited && o.passed != tt.passed {
				t.Errorf("%d passed, %d dropped, want %d to pass", o.passed, o.dropped, tt.passed)
			}
		})
	}
}
