// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

// Packets are counted on the CPU that they come in on, and the sum is what entered.
func TestCountersPerCPU(t *testing.T) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		t.Fatal(err)
	}
	if allowed.Count() < 2 {
		testenv.Skip(t, "needs two CPUs")
	}
	built := build(t, dispatcher.Options{Counters: true}, chaintest.Told("a", 0, chain.DefaultProceedOn), chaintest.Told("b", 1, 0))
	entered := 0
	want := make([]dispatcher.CounterRow, ebpf.MustPossibleCPU())
	for cpu := range want {
		if !allowed.IsSet(cpu) {
			continue
		}
		entered += onCPU(t, cpu, built.Program)
		want[cpu][chain.VerdictTX] = uint64(100 + cpu)
	}
	var got []dispatcher.CounterRow
	if err := built.Counters.Lookup(uint32(1), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows of b (-want +got):\n%s", diff)
	}
	counts, err := dispatcher.ReadCounters(built.Counters, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, c := range counts {
		total += int(c.Packets)
	}
	if total != entered {
		t.Errorf("%d packets entered, %d are counted", entered, total)
	}
}

// onCPU runs packets that b sends back, and some that a drops, on one CPU. It
// returns how many they were.
func onCPU(t *testing.T, cpu int, p *ebpf.Program) int {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	one.Set(cpu)
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	sent := 0
	for range 100 + cpu {
		chaintest.Run(t, p, chaintest.Packet([]uint32{uint32(chain.Pass), uint32(chain.TX)}))
		sent++
	}
	for range 7 {
		chaintest.Run(t, p, chaintest.Packet([]uint32{uint32(chain.Drop)}))
		sent++
	}
	if err := unix.SchedSetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	return sent
}
