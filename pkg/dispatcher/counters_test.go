// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/counters"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func newCounters(t *testing.T, members int) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(counters.Spec(members))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestReadCounters(t *testing.T) {
	m := newCounters(t, 2)
	// The first of two whose priorities are equal goes by its name, whatever the order given.
	members := []chain.Member{{Name: "second", Priority: 10}, {Name: "first", Priority: 10}}
	got, err := ReadCounters(m, members)
	if err != nil || len(got) != 0 {
		t.Errorf("new counters: %v, %v", got, err)
	}

	// CPU n has n+1 and, in another row, 2^40.
	cpus := ebpf.MustPossibleCPU()
	dropped, passed := make([]counters.Row, cpus), make([]counters.Row, cpus)
	var sum uint64
	for n := range cpus {
		dropped[n][chain.VerdictDrop] = uint64(n) + 1
		dropped[n][chain.VerdictInvalid] = 1
		passed[n][chain.VerdictPass] = 1 << 40
		sum += uint64(n) + 1
	}
	for position, row := range map[uint32][]counters.Row{1: dropped, 2: passed} {
		if err := m.Put(position, row); err != nil {
			t.Fatal(err)
		}
	}
	got, err = ReadCounters(m, members)
	if err != nil {
		t.Fatal(err)
	}
	want := []chain.Count{
		{Member: "second", Verdict: chain.VerdictDrop, Packets: sum},
		{Member: "second", Verdict: chain.VerdictInvalid, Packets: uint64(cpus)},
		{Member: chain.EndMember, Verdict: chain.VerdictPass, Packets: uint64(cpus) << 40},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}

	if members[0].Name != "second" {
		t.Errorf("the caller's members are %v now", members)
	}
	if _, err := ReadCounters(m, members[:1]); !errors.Is(err, chain.ErrInvalid) {
		t.Errorf("counters of another chain: %v", err)
	}
}

func TestReadCountersOfNone(t *testing.T) {
	for name, built := range map[string]*Built{"without counters": {Members: []chain.Member{{Name: "a"}}}, "closed": {}} {
		if counts, err := built.ReadCounters(); !errors.Is(err, ErrNoCounters) {
			t.Errorf("a chain that is %s: %v, %v; want ErrNoCounters", name, counts, err)
		}
	}
}

// The kernel keeps the names of the columns, which bpftool prints.
func TestCountersInKernel(t *testing.T) {
	handle, err := newCounters(t, 1).Handle()
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	types, err := handle.Spec(nil)
	if err != nil {
		t.Fatal(err)
	}
	var row *btf.Struct
	if err := types.TypeByName("verdicts", &row); err != nil {
		t.Fatal(err)
	}
	for i, member := range row.Members {
		if want := chain.Verdict(i); member.Name != want.String() || member.Offset != btf.Bits(64*i) {
			t.Errorf("column %d is %q at bit %d, want %q", i, member.Name, member.Offset, want)
		}
	}
	if len(row.Members) != chain.Verdicts {
		t.Errorf("%d columns, want %d", len(row.Members), chain.Verdicts)
	}
}
