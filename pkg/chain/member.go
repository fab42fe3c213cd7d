// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Member is a program that has its place in a chain.
type Member struct {
	// Name is unique in the chain.
	Name string `json:"name"`
	// Function is the name of the program in its object.
	Function string `json:"function"`
	// Priority orders the chain, 0 first.
	Priority int `json:"priority"`
	// ProceedOn holds the verdicts after which the next member runs.
	ProceedOn ActionSet `json:"proceedOn"`
}

// RunConfig is a source of defaults for a member: a catalog entry, or the
// .xdp_run_config of an object. Nil leaves the choice to the next source.
type RunConfig struct {
	Priority  *int
	ProceedOn *ActionSet
}

// Settle makes a member of a program: its own priority and proceedOn first, then
// those of the given sources in turn, then the defaults.
func (p *Program) Settle(function string, sources ...RunConfig) Member {
	m := Member{Name: p.Name, Function: function, Priority: DefaultPriority, ProceedOn: DefaultProceedOn}
	sources = append([]RunConfig{{p.Priority, p.ProceedOn}}, sources...)
	for _, s := range slices.Backward(sources) {
		if s.Priority != nil {
			m.Priority = *s.Priority
		}
		if s.ProceedOn != nil {
			m.ProceedOn = *s.ProceedOn
		}
	}
	return m
}

// Compare orders members as they run: priority ascending, then name bytewise.
func Compare(a, b Member) int {
	if c := cmp.Compare(a.Priority, b.Priority); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

// CheckMembers returns nil for members that can stand in one chain of at most
// limit members: every name right and there once. Errors satisfy
// errors.Is(err, [ErrInvalid]) or errors.Is(err, [ErrTooManyMembers]).
func CheckMembers(members []Member, limit int) error {
	if len(members) > limit {
		return fmt.Errorf("%w: the chain has %d, its dispatcher calls at most %d", ErrTooManyMembers, len(members), limit)
	}
	seen := make(map[string]bool, len(members))
	for _, m := range members {
		if err := CheckName(m.Name); err != nil {
			return err
		}
		if seen[m.Name] {
			return fmt.Errorf("%w: two members of the chain are named %q; names are unique on an interface", ErrInvalid, m.Name)
		}
		seen[m.Name] = true
	}
	return nil
}

// End is the position that [Decide] gives for a packet that went through the
// whole chain.
const End = -1

// Decide is the meaning of a chain: given its members in order and the values
// they would return, it tells which position decided (or [End]) and the chain's
// verdict. Values past the decision are not looked at.
func Decide(members []Member, returns []uint32) (position int, verdict uint32) {
	for i, m := range members {
		if v := returns[i]; !m.ProceedOn.HasVerdict(v) {
			return i, v
		}
	}
	return End, uint32(Pass)
}
