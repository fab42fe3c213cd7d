// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"errors"

	"github.com/cilium/ebpf"
)

// Built is a loaded chain that sits on no interface yet. It owns its file
// descriptors; the kernel keeps what is attached or pinned by the time of Close.
type Built struct {
	// Program is what goes on the interface.
	Program *ebpf.Program
	// Counters is the map that [ReadCounters] reads, nil without counters.
	Counters *ebpf.Map
	// Maps holds every map of every member: by member name, then by key in the
	// member's Spec.Maps. Maps that the member brought are here as clones.
	Maps map[string]map[string]*ebpf.Map
	// Frags reports whether the chain takes packets of several buffers: true if and
	// only if every member does.
	Frags bool
	// Slots are the members' programs and links in running order, where a dispatcher
	// loads each member as a program of its own (libxdp), otherwise nil.
	Slots []Slot
}

// Close closes every file descriptor. A nil Built, or one that was closed
// before, is left as it is.
func (b *Built) Close() error {
	if b == nil {
		return nil
	}
	errs := []error{b.Program.Close(), b.Counters.Close()}
	for _, maps := range b.Maps {
		for _, m := range maps {
			errs = append(errs, m.Close())
		}
	}
	for _, s := range b.Slots {
		if s.Link != nil {
			errs = append(errs, s.Link.Close())
		}
		errs = append(errs, s.Program.Close())
	}
	*b = Built{}
	return errors.Join(errs...)
}
