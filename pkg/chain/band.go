// SPDX-License-Identifier: Apache-2.0

package chain

import "fmt"

// Band is the priorities from Min to Max, both included, that a program from a pod's
// annotation may have.
type Band struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// Check returns nil for a band that holds at least one priority and none that is no
// priority, otherwise an error that satisfies errors.Is(err, [ErrInvalid]).
func (b Band) Check() error {
	if b.Min < 0 || b.Max > MaxPriority || b.Min > b.Max {
		return fmt.Errorf("%w: priorities from %d to %d; give a min that is not over max, both from 0 to %d", ErrInvalid, b.Min, b.Max, MaxPriority)
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
