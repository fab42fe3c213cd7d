// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// CounterRow is the value of the counters map on one CPU: packets by
// chain.Verdict, then padding. It matches the struct in [CountersSpec], of 64
// bytes so that a row is a cache line and its address a shift away.
type CounterRow [8]uint64

// CountersSpec returns the map in which a chain of so many members counts: a
// per-CPU array with key u32 position (the end of the chain last) and as value
//
//	struct verdicts {
//		__u64 aborted, drop, pass, tx, redirect, dispatcher_return, invalid;
//	} __attribute__((aligned(64)));
func CountersSpec(members int) *ebpf.MapSpec {
	u64 := &btf.Int{Name: "__u64", Size: 8}
	row := &btf.Struct{Name: "verdicts", Size: uint32(binary.Size(CounterRow{}))}
	for v := range chain.Verdicts {
		row.Members = append(row.Members, btf.Member{Name: chain.Verdict(v).String(), Type: u64, Offset: btf.Bits(64 * v)})
	}
	return &ebpf.MapSpec{
		Name:       "xdp_chain_count",
		Type:       ebpf.PerCPUArray,
		KeySize:    4,
		ValueSize:  row.Size,
		MaxEntries: uint32(members) + 1,
		Key:        &btf.Int{Name: "__u32", Size: 4},
		Value:      row,
	}
}

// ReadCounters reads the counters of a chain, given its members' names in running
// order, and returns the sums over all CPUs that are not zero, in the order of
// positions and then of verdicts. CPUs go on counting meanwhile: the rows are not
// of one instant, but no packet is counted twice or lost.
func ReadCounters(m *ebpf.Map, members []string) ([]chain.Count, error) {
	if int(m.MaxEntries()) != len(members)+1 {
		return nil, fmt.Errorf("%w: the counters %s are of a chain of %d members, not of %d", chain.ErrInvalid, m, int(m.MaxEntries())-1, len(members))
	}
	var counts []chain.Count
	var perCPU []CounterRow
	for position := range len(members) + 1 {
		if err := m.Lookup(uint32(position), &perCPU); err != nil {
			return nil, fmt.Errorf("reading the counters %s at position %d: %w", m, position, err)
		}
		name := chain.EndMember
		if position < len(members) {
			name = members[position]
		}
		counts = append(counts, sum(name, perCPU)...)
	}
	return counts, nil
}

// sum adds up one row over the CPUs.
func sum(member string, perCPU []CounterRow) []chain.Count {
	var counts []chain.Count
	for v := range chain.Verdicts {
		var packets uint64
		for _, row := range perCPU {
			packets += row[v]
		}
		if packets != 0 {
			counts = append(counts, chain.Count{Member: member, Verdict: chain.Verdict(v), Packets: packets})
		}
	}
	return counts
}
