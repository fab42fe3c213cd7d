// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
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
			value, err := examplePod.Expand(value)
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

// checkOrder returns nil unless a member that a pod asked for stands in front of one
// that it did not ask for and may keep packets from it: let them by, or answer them.
// What it drops reaches nobody, so it may.
func checkOrder(members []wanted) error {
	for _, asked := range members {
		if !asked.asked {
			continue
		}
		for _, own := range members {
			if own.asked {
				continue
			}
			if own.Name == asked.Name { // of another network's, or of the command line's
				return fmt.Errorf("%w: program %q, which the pod's annotation names, is in the chain already; a pod cannot change it", config.ErrPolicy, asked.Name)
			}
			// An operator who puts a member behind what a pod asked for has seen that.
			if own.Owner.Kind == record.OwnerCLI || chain.Compare(asked.Member.Member, own.Member.Member) > 0 {
				continue
			}
			fault := ""
			switch {
			case asked.Transmits:
				fault = "sends packets itself"
			case !asked.ProceedOn.Has(chain.Pass):
				fault = "does not proceed on pass"
			default:
				continue
			}
			return fmt.Errorf("%w: program %q (priority %d), which the pod's annotation names, would stand before %q (priority %d), and it %s: packets would get by; it can only have a place behind",
				config.ErrPolicy, asked.Name, asked.Priority, own.Name, own.Priority, fault)
		}
	}
	return nil
}

// byWish parts a network's own members from those that the pod asked for.
func byWish(members []wanted) (own, asked []wanted) {
	for _, m := range members {
		if m.asked {
			asked = append(asked, m)
		} else {
			own = append(own, m)
		}
	}
	return own, asked
}

// keepsDispatcher returns nil unless it is on account of what a pod asked for that the
// network's own members would have to go into libxdp's dispatcher: that is attached by
// netlink, so that root in the pod could take it off, which a link does not let happen,
// and it counts nothing. The reason is why the members cannot be linked.
func keepsDispatcher(ctx context.Context, members []wanted, reason error) error {
	own, asked := byWish(members)
	if len(own) == 0 || len(asked) == 0 {
		return nil
	}
	switch _, err := tryWith(ctx, chooseLinked(""), own, dispatcher.Options{}); {
	case errors.Is(err, dispatcher.ErrNotLinkable):
		return nil // they have nothing to lose
	case err != nil:
		return err
	}
	return fmt.Errorf(`%w: what the pod's annotation names cannot be linked with the network's own programs, and dispatcher libxdp counts nothing and is held by netlink, which root in the pod can undo: %w; give the network dispatcher "libxdp" if that may be`,
		config.ErrPolicy, reason)
}

// keepsNative tells whether a chain may not go from native mode to generic for the sake of
// the MTU: where the network's own members take packets of several buffers, that would be
// the doing of what the pod asked for, and what tc has redirected goes past a generic
// program (netif_receive_generic_xdp in the kernel's net/core/dev.c).
func keepsNative(ctx context.Context, c choice, p *plan, built *dispatcher.Built) (bool, error) {
	if p.requested.Mode != chain.ModeAuto || built.Frags {
		return false, nil
	}
	oneBuffer := func(w wanted) bool { return !w.program.Frags }
	own, asked := byWish(p.members)
	if len(own) == 0 || slices.ContainsFunc(own, oneBuffer) || !slices.ContainsFunc(asked, oneBuffer) {
		return false, nil
	}
	// The kernel may know of no such packets; then it is not the pod's doing either.
	return tryWith(ctx, c, own, dispatcher.Options{})
}
