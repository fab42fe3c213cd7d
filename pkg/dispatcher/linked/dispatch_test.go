// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// told makes a member that returns the 32-bit word of the packet at its position,
// in a register whose upper half is no part of the verdict.
func told(name string, position int, proceedOn chain.ActionSet) dispatcher.Member {
	offset := int16(4 * position)
	return program(
		name, position, proceedOn,
		asm.LoadMem(asm.R2, asm.R1, 4, asm.Word), // data_end
		asm.LoadMem(asm.R1, asm.R1, 0, asm.Word), // data
		asm.Mov.Reg(asm.R3, asm.R1),
		asm.Add.Imm(asm.R3, int32(offset)+4),
		asm.JGT.Reg(asm.R3, asm.R2, "short"),
		asm.LoadMem(asm.R0, asm.R1, offset, asm.Word),
		asm.LoadImm(asm.R1, -1<<32, asm.DWord),
		asm.Or.Reg(asm.R0, asm.R1),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("short"),
		asm.Return(),
	)
}

// packet holds what the members shall return.
func packet(returns []uint32) []byte {
	data := make([]byte, max(64, 4*len(returns)))
	for i, v := range returns {
		binary.NativeEndian.PutUint32(data[4*i:], v)
	}
	return data
}

// values are returns on both sides of every limit.
var values = []uint32{
	0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 29, 30, 31, 32, 33, 34, 63, 64, 255, 256, 258,
	1 << 16, math.MaxInt32, 1 << 31, 1<<31 | 2, math.MaxUint32 - 1, math.MaxUint32,
}

// anyReturn prefers what lets packets go far.
func anyReturn(set chain.ActionSet) uint32 {
	if list := set.Actions(); len(list) > 0 && rand.IntN(8) != 0 {
		return uint32(list[rand.IntN(len(list))])
	}
	if rand.IntN(4) == 0 {
		return rand.Uint32()
	}
	return values[rand.IntN(len(values))]
}

// model counts what chain.Decide says.
type model struct {
	members []chain.Member
	counts  map[string]uint64
}

func (m *model) decide(returns []uint32) uint32 {
	position, verdict := chain.Decide(m.members, returns)
	name := chain.EndMember
	if position != chain.End {
		name = m.members[position].Name
	}
	m.counts[fmt.Sprint(name, " ", chain.VerdictOf(verdict))]++
	return verdict
}

// compare lets packets through a chain and compares every verdict, and the counters
// at the end, with the model.
func compare(t *testing.T, members []dispatcher.Member, packets [][]uint32) {
	t.Helper()
	counted := build(t, dispatcher.Options{Counters: true}, members...)
	plain := build(t, dispatcher.Options{}, members...)
	defer counted.Close()
	defer plain.Close()
	m := &model{counts: make(map[string]uint64)}
	var names []string
	for _, member := range members {
		m.members = append(m.members, member.Member)
		names = append(names, member.Name)
	}
	for _, returns := range packets {
		want := m.decide(returns)
		for _, p := range []*ebpf.Program{counted.Program, plain.Program} {
			if got := run(t, p, packet(returns)); got != want {
				t.Fatalf("members %v returning %#x: verdict %#x, want %#x", m.members, returns, got, want)
			}
		}
	}
	counts, err := dispatcher.ReadCounters(counted.Counters, names)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]uint64)
	for _, c := range counts {
		got[fmt.Sprint(c.Member, " ", c.Verdict)] = c.Packets
	}
	if diff := cmp.Diff(m.counts, got); diff != "" {
		t.Fatalf("counters of %v (-want +got):\n%s", m.members, diff)
	}
}

// Every proceedOn with every value, before another member whose value shows whether
// the chain went on.
func TestEveryProceedOn(t *testing.T) {
	all := []chain.Action{chain.Aborted, chain.Drop, chain.Pass, chain.TX, chain.Redirect, chain.DispatcherReturn}
	for bits := range 1 << len(all) {
		var set chain.ActionSet
		for i, a := range all {
			if bits&(1<<i) != 0 {
				set |= chain.ActionSetOf(a)
			}
		}
		t.Run(set.String(), func(t *testing.T) {
			members := []dispatcher.Member{told("first", 0, set), told("second", 1, chain.ActionSetOf(chain.Drop))}
			var packets [][]uint32
			for _, v := range values {
				packets = append(packets, []uint32{v, uint32(chain.Drop)}, []uint32{v, 77})
			}
			compare(t, members, packets)
			compare(t, []dispatcher.Member{told("only", 0, set)}, packets)
		})
	}
}

func TestRandomChains(t *testing.T) {
	for n := range 100 {
		var members []dispatcher.Member
		for i := range 1 + rand.IntN(MaxMembers) {
			set := chain.ActionSet(rand.Uint32N(64) | rand.Uint32N(2)<<31)
			switch rand.IntN(8) {
			case 0: // bits that stand for no action
				set = chain.ActionSet(rand.Uint32())
			case 1, 2, 3, 4:
				set = chain.DefaultProceedOn
			}
			members = append(members, told(fmt.Sprintf("m%02d", i), i, set))
		}
		var packets [][]uint32
		for range 40 {
			returns := make([]uint32, len(members))
			for i, m := range members {
				returns[i] = anyReturn(m.ProceedOn)
			}
			packets = append(packets, returns)
		}
		t.Run(fmt.Sprintf("%d of %d", n, len(members)), func(t *testing.T) { compare(t, members, packets) })
	}
}

func TestOrder(t *testing.T) {
	drop := func(name string, priority int) dispatcher.Member {
		return returning(name, priority, uint32(chain.Drop))
	}
	members := []dispatcher.Member{drop("c", 10), drop("b", 5), drop("a", 5), drop("z", 0)}
	names := []string{"z", "a", "b", "c"}
	for len(members) > 0 {
		built := build(t, dispatcher.Options{Counters: true}, members...)
		run(t, built.Program, frame())
		counts, err := dispatcher.ReadCounters(built.Counters, names)
		if err != nil {
			t.Fatal(err)
		}
		want := []chain.Count{{Member: names[0], Verdict: chain.VerdictDrop, Packets: 1}}
		if diff := cmp.Diff(want, counts); diff != "" {
			t.Errorf("first of %d (-want +got):\n%s", len(members), diff)
		}
		members, names = members[:len(members)-1], names[1:]
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
	built := build(t, dispatcher.Options{Counters: true}, told("a", 0, chain.DefaultProceedOn), told("b", 1, 0))
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
		run(t, p, packet([]uint32{uint32(chain.Pass), uint32(chain.TX)}))
		sent++
	}
	for range 7 {
		run(t, p, packet([]uint32{uint32(chain.Drop)}))
		sent++
	}
	if err := unix.SchedSetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	return sent
}
