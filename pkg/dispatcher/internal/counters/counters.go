// SPDX-License-Identifier: Apache-2.0

// Package counters is the map in which a chain counts who decided, as the program that
// counts and whoever reads it see it.
package counters

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Row is the value of the map on one CPU: packets by [chain.Verdict], then padding. It
// matches the struct in [Spec], of 64 bytes so that a row is a cache line and its address a
// shift away.
type Row [8]uint64

// Spec returns the map in which a chain of so many members counts: a per-CPU array with key
// u32 position (the end of the chain last) and as value
//
//	struct verdicts {
//		__u64 aborted, drop, pass, tx, redirect, dispatcher_return, invalid;
//	} __attribute__((aligned(64)));
func Spec(members int) *ebpf.MapSpec {
	u64 := &btf.Int{Name: "__u64", Size: 8}
	row := &btf.Struct{Name: "verdicts", Size: uint32(binary.Size(Row{}))}
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

// Read reads the map of a chain whose members, in running order, have these names. It
// returns the sums over all CPUs that are not zero, by position and then by verdict. A map
// of a chain of another length is an error that satisfies errors.Is(err, chain.ErrInvalid).
func Read(m *ebpf.Map, names []string) ([]chain.Count, error) {
	if int(m.MaxEntries()) != len(names)+1 {
		return nil, fmt.Errorf("%w: the counters %s are of a chain of %d members, not of %d", chain.ErrInvalid, m, int(m.MaxEntries())-1, len(names))
	}
	var counts []chain.Count
	var perCPU []Row
	for position := range len(names) + 1 {
		if err := m.Lookup(uint32(position), &perCPU); err != nil {
			return nil, fmt.Errorf("reading the counters %s at position %d: %w", m, position, err)
		}
		name := chain.EndMember
		if position < len(names) {
			name = names[position]
		}
		for v := range chain.Verdicts {
			var packets uint64
			for _, row := range perCPU {
				packets += row[v]
			}
			if packets != 0 {
				counts = append(counts, chain.Count{Member: name, Verdict: chain.Verdict(v), Packets: packets})
			}
		}
	}
	return counts, nil
}
