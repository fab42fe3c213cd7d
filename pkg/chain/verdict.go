// SPDX-License-Identifier: Apache-2.0

package chain

import "github.com/xdp-chain/xdp-chain/internal/enum"

// Verdict is a column of the verdict counters: the classes into which a chain's
// final return values fall. They are the actions in the order of their values,
// and Invalid for every other value a program may return. A Verdict is also the
// index of its counter in the counters map.
type Verdict uint8

// The verdict classes, in the order of the counters.
const (
	VerdictAborted Verdict = iota
	VerdictDrop
	VerdictPass
	VerdictTX
	VerdictRedirect
	VerdictDispatcherReturn
	VerdictInvalid

	// Verdicts is the number of verdict classes.
	Verdicts = int(VerdictInvalid) + 1
)

var verdictNames = enum.Names[Verdict]{What: "verdict", Invalid: ErrInvalid, List: []string{"aborted", "drop", "pass", "tx", "redirect", "dispatcher_return", "invalid"}}

// VerdictOf returns the class of a raw return value.
func VerdictOf(value uint32) Verdict {
	switch {
	case value <= uint32(Redirect):
		return Verdict(value)
	case value == uint32(DispatcherReturn):
		return VerdictDispatcherReturn
	default:
		return VerdictInvalid
	}
}

// String returns the verdict's name, or "verdict(N)" for a value that is none.
func (v Verdict) String() string { return verdictNames.String(v) }

// MarshalText returns the verdict's name; a value that is none is an error that
// satisfies errors.Is(err, [ErrInvalid]).
func (v Verdict) MarshalText() ([]byte, error) { return verdictNames.Marshal(v) }

// UnmarshalText takes a verdict's name; anything else is an error that satisfies
// errors.Is(err, [ErrInvalid]).
func (v *Verdict) UnmarshalText(text []byte) error { return verdictNames.Unmarshal(text, v) }

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
