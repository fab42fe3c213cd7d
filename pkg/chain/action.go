// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/enum"
)

// Action is a value that an XDP program returns and that proceedOn can name.
// The first five are enum xdp_action of linux/bpf.h; DispatcherReturn is
// libxdp's XDP_DISPATCHER_RETVAL, what an empty dispatcher slot returns.
type Action uint8

// The actions, with the values the kernel and libxdp give them.
const (
	Aborted          Action = 0
	Drop             Action = 1
	Pass             Action = 2
	TX               Action = 3
	Redirect         Action = 4
	DispatcherReturn Action = 31
)

// actions in the order in which sets are printed.
var actions = []Action{Aborted, Drop, Pass, TX, Redirect, DispatcherReturn}

var actionNames = map[Action]string{
	Aborted:          "aborted",
	Drop:             "drop",
	Pass:             "pass",
	TX:               "tx",
	Redirect:         "redirect",
	DispatcherReturn: "dispatcher_return",
}

// String returns the action's name in configurations, or "action(N)" for a
// value that is none.
func (a Action) String() string {
	if name, ok := actionNames[a]; ok {
		return name
	}
	return fmt.Sprintf("action(%d)", uint8(a))
}

// MarshalText returns the action's name. A value that is no action is an
// error that satisfies errors.Is(err, [ErrInvalid]).
func (a Action) MarshalText() ([]byte, error) {
	if _, ok := actionNames[a]; !ok {
		return nil, fmt.Errorf("%w: %d is not an XDP action", ErrInvalid, uint8(a))
	}
	return []byte(a.String()), nil
}

// UnmarshalText takes an action's name, in lower case as it is printed. Anything
// else is an error that lists the names and satisfies errors.Is(err, [ErrInvalid]).
func (a *Action) UnmarshalText(text []byte) error {
	for _, action := range actions {
		if action.String() == string(text) {
			*a = action
			return nil
		}
	}
	return fmt.Errorf("%w: action %q; use one of %s", ErrInvalid, text, ActionSet(allActions))
}

// ActionSet is a proceedOn: the verdicts after which the chain goes on to the
// next member. Bit n stands for action n, as in chain_call_actions of libxdp's
// dispatcher config. The zero value is the empty set: every verdict is final.
type ActionSet uint32

const allActions = 1<<Aborted | 1<<Drop | 1<<Pass | 1<<TX | 1<<Redirect | 1<<DispatcherReturn

// DefaultProceedOn is what a member gets that nobody gave a proceedOn.
const DefaultProceedOn ActionSet = 1<<Pass | 1<<DispatcherReturn

// defaultJSON is how [ActionSet.MarshalJSON] writes it.
const defaultJSON = `["pass","dispatcher_return"]`

// ActionSetOf returns the set of the given actions.
func ActionSetOf(members ...Action) ActionSet {
	var s ActionSet
	for _, a := range members {
		s |= 1 << a
	}
	return s & allActions
}

// Has reports whether a is in the set.
func (s ActionSet) Has(a Action) bool { return a < 32 && s&(1<<a) != 0 }

// HasVerdict reports whether a raw return value of a program is in the set. A
// value over 31 never is.
func (s ActionSet) HasVerdict(v uint32) bool { return v < 32 && s&(1<<v) != 0 }

// Actions returns the set's actions in ascending order of value.
func (s ActionSet) Actions() []Action {
	list := make([]Action, 0, bits.OnesCount32(uint32(s)))
	for _, a := range actions {
		if s.Has(a) {
			list = append(list, a)
		}
	}
	return list
}

// String returns the names joined by commas, or "none" for the empty set.
func (s ActionSet) String() string {
	if s == 0 {
		return "none"
	}
	names := make([]string, 0, len(actions))
	for _, a := range s.Actions() {
		names = append(names, a.String())
	}
	return strings.Join(names, ",")
}

// MarshalJSON writes the set as an array of names in ascending order of value.
func (s ActionSet) MarshalJSON() ([]byte, error) {
	if s&^allActions != 0 {
		return nil, fmt.Errorf("%w: proceedOn mask %#x has bits that stand for no XDP action", ErrInvalid, uint32(s))
	}
	return json.Marshal(s.Actions())
}

// UnmarshalJSON reads an array of action names. A name that is unknown or stands
// twice is an error that satisfies errors.Is(err, [ErrInvalid]); the empty array
// is the empty set.
func (s *ActionSet) UnmarshalJSON(text []byte) error {
	// A node's records have thousands of sets, most of them this one.
	if string(text) == defaultJSON {
		*s = DefaultProceedOn
		return nil
	}
	// Not []Action: encoding/json takes a string for any slice of bytes.
	var names []string
	if err := json.Unmarshal(text, &names); err != nil {
		return fmt.Errorf("%w: proceedOn %s; give a list of verdicts such as [\"pass\"]", ErrInvalid, text)
	}
	if names == nil {
		return fmt.Errorf("%w: proceedOn is null; give a list of verdicts, or leave it out for %s", ErrInvalid, DefaultProceedOn)
	}
	var set ActionSet
	for _, name := range names {
		var a Action
		if err := a.UnmarshalText([]byte(name)); err != nil {
			return fmt.Errorf("proceedOn: %w", err)
		}
		if set.Has(a) {
			return fmt.Errorf("%w: proceedOn names %s twice", ErrInvalid, a)
		}
		set |= 1 << a
	}
	*s = set
	return nil
}

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
