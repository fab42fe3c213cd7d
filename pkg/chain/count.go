// SPDX-License-Identifier: Apache-2.0

package chain

// The members under which counts stand that no member of the chain decided.
// Parentheses cannot be in a member's name.
const (
	// EndMember is for packets that went through the whole chain.
	EndMember = "(end)"
	// RemovedMember is for packets that members decided which have left the chain
	// since.
	RemovedMember = "(removed)"
)

// Count is how many packets one member decided with one verdict.
type Count struct {
	// Member is a member's name, [EndMember] or [RemovedMember].
	Member  string  `json:"member"`
	Verdict Verdict `json:"verdict"`
	Packets uint64  `json:"packets"`
}
