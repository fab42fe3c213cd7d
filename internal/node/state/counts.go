// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Tally sums packets by deciding member and verdict.
type Tally map[tallyRow]uint64

type tallyRow struct {
	member  string
	verdict chain.Verdict
}

// NewTally begins with the counts of the generations before, which may be none.
func NewTally(base []chain.Count) Tally {
	sums := make(Tally)
	for _, c := range base {
		sums[tallyRow{c.Member, c.Verdict}] += c.Packets
	}
	return sums
}

// Add adds counts.
func (s Tally) Add(counts []chain.Count) {
	for _, c := range counts {
		s[tallyRow{c.Member, c.Verdict}] += c.Packets
	}
}

// KeepOnly moves the rows of members that are not in the generation to
// [chain.RemovedMember], and returns all rows in a fixed order.
func (s Tally) KeepOnly(next *record.State) []chain.Count {
	stays := map[string]bool{chain.EndMember: true, chain.RemovedMember: true}
	for _, m := range next.Members {
		stays[m.Name] = true
	}
	kept := make(Tally, len(s))
	for row, packets := range s {
		if !stays[row.member] {
			row.member = chain.RemovedMember
		}
		kept[row] += packets
	}
	return kept.Rows(MemberNames(next))
}

// Rows lists what is not zero: the members in the given order, then what was
// removed, then the end of the chain; verdicts by value.
func (s Tally) Rows(members []string) []chain.Count {
	order := append(slices.Clone(members), chain.RemovedMember, chain.EndMember)
	list := make([]chain.Count, 0, len(s))
	for row, packets := range s {
		if packets > 0 {
			list = append(list, chain.Count{Member: row.member, Verdict: row.verdict, Packets: packets})
		}
	}
	slices.SortFunc(list, func(a, b chain.Count) int {
		return cmp.Or(
			cmp.Compare(slices.Index(order, a.Member), slices.Index(order, b.Member)),
			cmp.Compare(a.Verdict, b.Verdict))
	})
	return list
}
