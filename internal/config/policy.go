// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/strict"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// ErrPolicy is wrapped by every error about something that a pod asked for and that
// the network's policy does not allow.
var ErrPolicy = errors.New("refused by policy")

// Policy says what the annotations of a network's pods may ask for. The zero Policy
// allows nothing; a nil one ignores annotations.
type Policy struct {
	// Allow has the names of the programs that may be asked for.
	Allow []string `json:"allow"`
	// Priorities is where their priorities must lie, whoever gives them.
	Priorities Band `json:"priorities"`
	// Max is how many programs a pod may ask for.
	Max int `json:"max"`
}

// The figures of a policy that does not give them. The band lies behind the default
// priority of a configuration's own programs, [chain.DefaultPriority].
const (
	defaultLowest  = 100
	defaultHighest = 199
	defaultMax     = 4
	// highestMax is how many members the larger of the dispatchers calls.
	highestMax = 64
)

// UnmarshalJSON reads a configuration's field annotations, strictly: what is not
// mentioned is none for allow, 100 to 199 for priorities and 4 for max. Errors are faults
// with the paths of their places in the field.
func (p *Policy) UnmarshalJSON(text []byte) error {
	type plain Policy
	given := plain{Priorities: Band{Min: defaultLowest, Max: defaultHighest}, Max: defaultMax}
	if err := strict.JSON(text, &given, strict.Options{}); err != nil {
		return err
	}
	*p = Policy(given)
	return p.faults().Err()
}

func (p *Policy) faults() strict.Faults {
	var faults strict.Faults
	for i, name := range p.Allow {
		path := fmt.Sprintf("allow[%d]", i)
		if err := chain.CheckName(name); err != nil {
			faults = append(faults, strict.Faultf(path, "%v", err))
		} else if first := slices.Index(p.Allow, name); first < i {
			faults = append(faults, strict.Faultf(path, "%q is allowed by allow[%d] already", name, first))
		}
	}
	if err := p.Priorities.Check(); err != nil {
		faults = append(faults, strict.Faultf("priorities", "%v", err))
	}
	if p.Max < 0 || p.Max > highestMax {
		faults = append(faults, strict.Faultf("max", "%d; it goes from 0 to %d", p.Max, highestMax))
	}
	return faults
}

// Band is the priorities from Min to Max, both included, that a program from a pod's
// annotation may have.
type Band struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// Check returns nil for a band that holds at least one priority and none that is no
// priority, otherwise an error that satisfies errors.Is(err, [chain.ErrInvalid]).
func (b Band) Check() error {
	if b.Min < 0 || b.Max > chain.MaxPriority || b.Min > b.Max {
		return fmt.Errorf("%w: priorities from %d to %d; give a min that is not over max, both from 0 to %d", chain.ErrInvalid, b.Min, b.Max, chain.MaxPriority)
	}
	return nil
}

// Admit returns nil for a priority that lies in the band, otherwise an error that
// satisfies errors.Is(err, [ErrPolicy]). A nil band admits every priority.
func (b *Band) Admit(priority int) error {
	if b == nil || b.Min <= priority && priority <= b.Max {
		return nil
	}
	return fmt.Errorf("%w: priority %d; annotations may ask for %d to %d", ErrPolicy, priority, b.Min, b.Max)
}
