// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/counters"
)

// Members that share every name, without the BTF that could tell them apart.
func TestSameNamesWithoutBTF(t *testing.T) {
	chaintest.CompareGlobals(t, build(
		t, dispatcher.Options{},
		chaintest.Strip(chaintest.Globals(t, "a", 0, chain.Pass, 1)),
		chaintest.Strip(chaintest.Globals(t, "b", 1, chain.TX, 100)),
		chaintest.Strip(chaintest.Globals(t, "c", 2, chain.Drop, 10000)),
	))
}

// A mixture of functions with and without BTF and line info.
func TestSomeWithoutBTF(t *testing.T) {
	lineless := chaintest.Globals(t, "lineless", 2, chain.Pass, 1)
	for i, ins := range chaintest.Spec(lineless).Instructions {
		chaintest.Spec(lineless).Instructions[i] = ins.WithSource(nil)
	}
	built := build(
		t, dispatcher.Options{Counters: true},
		chaintest.Globals(t, "whole", 0, chain.Pass, 1), chaintest.Strip(chaintest.Globals(t, "bare", 1, chain.Pass, 1)), lineless, chaintest.Returning("asm", 3, 7),
	)
	if got := chaintest.Run(t, built.Program, chaintest.Frame()); got != 7 {
		t.Errorf("verdict %d", got)
	}
}

func TestProgramInKernel(t *testing.T) {
	built := build(t, dispatcher.Options{}, chaintest.Globals(t, "flow-stats", 0, chain.Pass, 1), chaintest.Returning("4ever", 1, 1))
	info, err := built.Program.Info()
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != ProgramName || info.Type != ebpf.XDP {
		t.Errorf("name %q, type %s", info.Name, info.Type)
	}
	functions, err := info.FuncInfos()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]btf.FuncLinkage)
	for _, f := range functions {
		got[f.Func.Name] = f.Func.Linkage
	}
	want := map[string]btf.FuncLinkage{
		"xdp_chain":           btf.GlobalFunc,
		"flow_stats__globals": btf.GlobalFunc,
		"add":                 btf.StaticFunc,
		"touch":               btf.GlobalFunc,
		"_4ever__main":        btf.GlobalFunc,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("functions (-want +got):\n%s", diff)
	}
}

func TestTwoKernelVersions(t *testing.T) {
	kconfig := func(name string, position int) dispatcher.Member {
		return chaintest.Object(t, "kernel.o", "kconfig", name, position)
	}
	err := buildError(t, dispatcher.Options{}, kconfig("one", 0), chaintest.Returning("a", 1, 2), kconfig("two", 2))
	if !errors.Is(err, dispatcher.ErrNotLinkable) || !strings.Contains(err.Error(), "one, two") {
		t.Errorf("two members with .kconfig: %v", err)
	}
}

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
	want := make([]counters.Row, ebpf.MustPossibleCPU())
	for cpu := range want {
		if !allowed.IsSet(cpu) {
			continue
		}
		entered += onCPU(t, cpu, built.Program)
		want[cpu][chain.VerdictTX] = uint64(100 + cpu)
	}
	var got []counters.Row
	if err := built.Counters.Lookup(uint32(1), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows of b (-want +got):\n%s", diff)
	}
	counts, err := built.ReadCounters()
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

// Only the verdict tx becomes another one for the kernel, and none for the counters.
func TestTXByRedirect(t *testing.T) {
	const tx, redirect = uint32(chain.TX), uint32(chain.Redirect)
	for _, counted := range []bool{false, true} {
		t.Run(fmt.Sprintf("counters %t", counted), func(t *testing.T) {
			built := build(
				t, dispatcher.Options{Counters: counted, TXByRedirect: true},
				chaintest.Told("a", 0, chain.DefaultProceedOn), chaintest.Told("b", 1, chain.ActionSetOf(chain.TX)), chaintest.Told("c", 2, 0),
			)
			for _, tt := range []struct {
				returns []uint32
				want    uint32
			}{
				{[]uint32{tx, 0, 0}, redirect},
				{[]uint32{uint32(chain.Drop), 0, 0}, uint32(chain.Drop)},
				{[]uint32{uint32(chain.Pass), uint32(chain.Aborted), 0}, uint32(chain.Aborted)},
				{[]uint32{uint32(chain.Pass), tx, uint32(chain.Pass)}, uint32(chain.Pass)},
				{[]uint32{uint32(chain.Pass), tx, tx}, redirect},
				{[]uint32{redirect, 0, 0}, redirect},
				{[]uint32{31, 7, 0}, 7},
				{[]uint32{0x103, 0, 0}, 0x103},
			} {
				if got := chaintest.Run(t, built.Program, chaintest.Packet(tt.returns)); got != tt.want {
					t.Errorf("members return %v: verdict %d, want %d", tt.returns, got, tt.want)
				}
			}
			if !counted {
				return
			}
			got, err := built.ReadCounters()
			if err != nil {
				t.Fatal(err)
			}
			want := []chain.Count{
				{Member: "a", Verdict: chain.VerdictDrop, Packets: 1},
				{Member: "a", Verdict: chain.VerdictTX, Packets: 1},
				{Member: "a", Verdict: chain.VerdictRedirect, Packets: 1},
				{Member: "a", Verdict: chain.VerdictInvalid, Packets: 1},
				{Member: "b", Verdict: chain.VerdictAborted, Packets: 1},
				{Member: "b", Verdict: chain.VerdictInvalid, Packets: 1},
				{Member: "c", Verdict: chain.VerdictPass, Packets: 1},
				{Member: "c", Verdict: chain.VerdictTX, Packets: 1},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}
