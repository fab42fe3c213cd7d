// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

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

func newModel(members []dispatcher.Member) *model {
	m := &model{counts: make(map[string]uint64)}
	for _, member := range members {
		m.members = append(m.members, member.Member)
	}
	return m
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
func compare(t *testing.T, d dispatcher.Dispatcher, members []dispatcher.Member, packets [][]uint32) {
	t.Helper()
	counted := Build(t, d, dispatcher.Options{Counters: true}, members...)
	defer counted.Close()
	programs := []*ebpf.Program{counted.Program}
	if counted.Counters != nil {
		plain := Build(t, d, dispatcher.Options{}, members...)
		defer plain.Close()
		programs = append(programs, plain.Program)
	}
	m := newModel(members)
	for _, returns := range packets {
		want := m.decide(returns)
		for _, p := range programs {
			if got := Run(t, p, Packet(returns)); got != want {
				t.Fatalf("members %v returning %#x: verdict %#x, want %#x", m.members, returns, got, want)
			}
		}
	}
	if counted.Counters != nil {
		m.compareCounts(t, counted)
	}
}

func (m *model) compareCounts(t *testing.T, built *dispatcher.Built) {
	t.Helper()
	counts, err := built.ReadCounters()
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

// everyProceedOn is every proceedOn with every value, before another member whose
// value shows whether the chain went on, and alone. Where tests are short it is one in
// four of both, others each time: up to Linux 5.12 each run of a program waits for RCU.
func everyProceedOn(t *testing.T, d dispatcher.Dispatcher) {
	all := []chain.Action{chain.Aborted, chain.Drop, chain.Pass, chain.TX, chain.Redirect, chain.DispatcherReturn}
	step := 1
	if testing.Short() {
		step = 4
	}
	for bits := rand.IntN(step); bits < 1<<len(all); bits += step {
		var set chain.ActionSet
		for i, a := range all {
			if bits&(1<<i) != 0 {
				set |= chain.ActionSetOf(a)
			}
		}
		t.Run(set.String(), func(t *testing.T) {
			members := []dispatcher.Member{Told("first", 0, set), Told("second", 1, chain.ActionSetOf(chain.Drop))}
			var packets [][]uint32
			for i := rand.IntN(step); i < len(values); i += step {
				packets = append(packets, []uint32{values[i], uint32(chain.Drop)}, []uint32{values[i], 77})
			}
			compare(t, d, members, packets)
			compare(t, d, []dispatcher.Member{Told("only", 0, set)}, packets)
		})
	}
}

func randomChains(t *testing.T, d dispatcher.Dispatcher) {
	chains, each := 100, 40
	if testing.Short() {
		chains, each = 20, 10
	}
	for n := range chains {
		var members []dispatcher.Member
		for i := range 1 + rand.IntN(d.MaxMembers()) {
			set := chain.ActionSet(rand.Uint32N(64) | rand.Uint32N(2)<<31)
			switch rand.IntN(8) {
			case 0: // bits that stand for no action
				set = chain.ActionSet(rand.Uint32())
			case 1, 2, 3, 4:
				set = chain.DefaultProceedOn
			}
			members = append(members, Told(fmt.Sprintf("m%02d", i), i, set))
		}
		var packets [][]uint32
		for range each {
			returns := make([]uint32, len(members))
			for i, m := range members {
				returns[i] = anyReturn(m.ProceedOn)
			}
			packets = append(packets, returns)
		}
		t.Run(fmt.Sprintf("%d of %d", n, len(members)), func(t *testing.T) { compare(t, d, members, packets) })
	}
}

// order tells the members of a chain apart by their verdicts, which are final: the
// first one's is the chain's, then the next one's when that is gone.
func order(t *testing.T, d dispatcher.Dispatcher) {
	verdicts := map[string]uint32{"z": 100, "a": 101, "b": 102, "c": 103}
	priorities := map[string]int{"z": 0, "a": 5, "b": 5, "c": 10}
	var members []dispatcher.Member
	for _, name := range []string{"c", "b", "a", "z"} {
		members = append(members, Returning(name, priorities[name], verdicts[name]))
	}
	for _, first := range []string{"z", "a", "b", "c"} {
		built := Build(t, d, dispatcher.Options{Counters: true}, members...)
		if got := Run(t, built.Program, Frame()); got != verdicts[first] {
			t.Errorf("the first of %d returned %d, want %d of %s", len(members), got, verdicts[first], first)
		}
		if len(built.Members) != len(members) || built.Members[0].Name != first {
			t.Errorf("members %v, want %d that begin with %s", built.Members, len(members), first)
		}
		if built.Counters != nil {
			want := []chain.Count{{Member: first, Verdict: chain.VerdictOf(verdicts[first]), Packets: 1}}
			if counts, err := built.ReadCounters(); err != nil || !slices.Equal(counts, want) {
				t.Errorf("counts %v, %v; want %v", counts, err, want)
			}
		}
		members = slices.DeleteFunc(members, func(m dispatcher.Member) bool { return m.Name == first })
	}
}
