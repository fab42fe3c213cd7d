// SPDX-License-Identifier: Apache-2.0

package flowstats

import (
	"encoding/binary"
	"runtime"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	x "github.com/xdp-chain/xdp-chain/bpf/internal/xdptest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// onSomeCPUs calls f once for each processor at the same time, on four at most: each
// one keeps some of the map's room for itself.
func onSomeCPUs(t *testing.T, f func() error) (cpus int) {
	t.Helper()
	cpus = min(runtime.NumCPU(), 4)
	if cpus == 1 {
		testenv.Skip(t, "a single processor does nothing at the same time")
	}
	errs := make([]error, cpus)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = f() })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return cpus
}

// No packet of a flow is lost to another CPU that counts the same one.
func TestOneFlowOnSomeCPUs(t *testing.T) {
	l := load(t)
	frame := ipv4(x.TCP, x.Segment(80))
	packets := uint32(200_000)
	if testing.Short() {
		packets = 20_000
	}
	cpus := onSomeCPUs(t, func() error {
		_, err := l.Programs["flow_stats"].Run(&ebpf.RunOptions{Data: frame, Repeat: packets})
		return err
	})
	want := Traffic{Packets: uint64(cpus) * uint64(packets)}
	want.Bytes = want.Packets * uint64(len(frame))
	if got := l.counts(t)[flow4(x.TCP, 40000, 80)]; got != want {
		t.Errorf("flow %+v, want %+v", got, want)
	}
	if got := l.total(t, totalFlows); got != want {
		t.Errorf("total %+v, want %+v", got, want)
	}
}

// Nor to another CPU that begins the same flow.
func TestNewFlowsOnSomeCPUs(t *testing.T) {
	l := load(t)
	const count = 1000 // the map keeps as many, whatever CPUs keep for themselves
	cpus := onSomeCPUs(t, func() error {
		for i := range count {
			if _, err := l.Programs["flow_stats"].Run(&ebpf.RunOptions{Data: numbered(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	got := l.counts(t)
	for f, c := range got {
		if c.Packets != uint64(cpus) {
			t.Errorf("%+v: %d packets, want %d", f, c.Packets, cpus)
		}
	}
	if len(got) != count {
		t.Errorf("%d flows, want %d", len(got), count)
	}
}

// numbered is a packet of the i-th of some flows.
func numbered(i int) []byte {
	segment := x.Segment(80)
	binary.BigEndian.PutUint16(segment, uint16(i))
	return ipv4(x.TCP, segment)
}

// What has no room makes old flows be forgotten, not new ones, nor such as go on; and
// the totals tell how much is forgotten.
func TestMoreFlowsThanTheMapHolds(t *testing.T) {
	const size = 1024
	spec := x.Spec(t, "flow-stats")
	spec.Maps["flows"].MaxEntries = size
	l := loaded{x.Load(t, spec)}
	active := ipv6(x.TCP, x.Segment(80))
	for i := range 3 * size {
		l.run(t, numbered(i))
		if i%16 == 0 {
			l.run(t, active)
		}
	}
	got := l.counts(t)
	if len(got) > size || len(got) < size/2 {
		t.Errorf("%d flows in a map for %d", len(got), size)
	}
	if c := got[flow6(x.TCP, 40000, 80)]; c.Packets != uint64(3*size/16) {
		t.Errorf("the flow that went on has %d packets, want %d", c.Packets, 3*size/16)
	}
	if c := got[flow4(x.TCP, uint16(3*size-1), 80)]; c.Packets != 1 {
		t.Errorf("the last flow has %d packets", c.Packets)
	}
	if c, ok := got[flow4(x.TCP, 0, 80)]; ok {
		t.Errorf("the first flow is still there, with %d packets", c.Packets)
	}
	if got, want := l.total(t, totalFlows).Packets, uint64(3*size+3*size/16); got != want {
		t.Errorf("total of flows %d packets, want %d", got, want)
	}
}
