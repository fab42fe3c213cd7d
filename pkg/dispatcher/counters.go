// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/counters"
)

// ReadCounters reads the counters of a chain that another process built, from the map that
// it pinned ([Built.Counters]), given the chain's members in any order. It returns packets by
// deciding member and verdict, summed over all CPUs, in the order of the members and then of
// the verdicts, and leaves out what is zero; [chain.EndMember] comes last. CPUs go on
// counting meanwhile: the rows are not of one instant, but no packet is counted twice or
// lost. Members that are not as many as the chain's are an error that satisfies
// errors.Is(err, chain.ErrInvalid).
func ReadCounters(m *ebpf.Map, members []chain.Member) ([]chain.Count, error) {
	// A row's key is a position; which member that is, their order tells.
	members = slices.SortedFunc(slices.Values(members), chain.Compare)
	names := make([]string, len(members))
	for i, member := range members {
		names[i] = member.Name
	}
	return counters.Read(m, names)
}
