// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"fmt"
	"maps"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// A program with a band comes from a pod's annotation. What the annotation itself says
// was judged when it was read; what is left is judged here, since it takes the object.

// checkSettable returns nil if every variable that pods may set can hold all that they
// may set it to, otherwise an error that satisfies errors.Is(err, [object.ErrUnusable]).
// A bound that cannot be encoded would bound nothing.
func checkSettable(entry *catalog.Entry, program *object.Program) error {
	for _, global := range slices.Sorted(maps.Keys(entry.Settable)) {
		for _, value := range entry.Settable[global].Extremes() {
			value, err := ExamplePod.Expand(value)
			if err == nil {
				err = program.CheckGlobal(global, value)
			}
			if err != nil {
				return fmt.Errorf("settable: %w", err)
			}
		}
	}
	return nil
}

// checkBand returns nil if the priority that a program has got lies in its band,
// whoever gave it.
func checkBand(p *config.Program, m chain.Member) error {
	err := p.Band.Admit(m.Priority)
	if err != nil && p.Priority == nil {
		return fmt.Errorf("%w; the annotation gives none, and this is the one that the program has by itself", err)
	}
	return err
}

// CheckOrder returns nil unless a member that a pod asked for stands in front of one
// that it did not ask for and may keep packets from it: let them by, or answer them.
// What it drops reaches nobody, so it may.
func CheckOrder(members []Member) error {
	for _, asked := range members {
		if !asked.Record.FromAnnotation {
			continue
		}
		for _, own := range members {
			if own.Record.FromAnnotation {
				continue
			}
			if own.Record.Name == asked.Record.Name { // of another network's, or of the command line's
				return fmt.Errorf("%w: program %q, which the pod's annotation names, is in the chain already; a pod cannot change it", config.ErrPolicy, asked.Record.Name)
			}
			// An operator who puts a member behind what a pod asked for has seen that.
			if own.Record.Owner.Kind == record.OwnerCLI || chain.Compare(asked.Record.Member, own.Record.Member) > 0 {
				continue
			}
			fault := ""
			switch {
			case asked.Record.Transmits:
				fault = "sends packets itself"
			case !asked.Record.ProceedOn.Has(chain.Pass):
				fault = "does not proceed on pass"
			default:
				continue
			}
			return fmt.Errorf("%w: program %q (priority %d), which the pod's annotation names, would stand before %q (priority %d), and it %s: packets would get by; it can only have a place behind",
				config.ErrPolicy, asked.Record.Name, asked.Record.Priority, own.Record.Name, own.Record.Priority, fault)
		}
	}
	return nil
}

// SplitByOrigin parts a network's own members from those that the pod asked for.
func SplitByOrigin(members []Member) (own, asked []Member) {
	for _, m := range members {
		if m.Record.FromAnnotation {
			asked = append(asked, m)
		} else {
			own = append(own, m)
		}
	}
	return own, asked
}
