// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Member is a program and its place in a chain.
type Member struct {
	chain.Member
	// Spec holds the program, under the key Function, and every map and variable it
	// refers to, with globals and entries set. Entries of devmaps and cpumaps may be a
	// [chain.EntryProgram]; then it holds their programs as well, and no others. Build
	// does not change it. Nil for a member that somebody else put into a libxdp chain; then Loaded is not.
	Spec *ebpf.CollectionSpec
	// Maps are existing maps to use instead of new ones, by their key in Spec.Maps;
	// data sections such as ".bss" may be among them. They stay the caller's.
	Maps map[string]*ebpf.Map
	// Loaded is the member's extension program where a dispatcher of kind libxdp
	// loaded it before: it is attached again, not loaded, and the maps that it uses
	// are to be in Maps. It stays the caller's. Nil otherwise.
	Loaded *ebpf.Program
	// Frags says of a member without Spec that it takes packets of several buffers.
	// The kernel does not tell it of an extension program, the config of the
	// dispatcher that it was found in does. Of others their Spec says it.
	Frags bool
}

// Program returns the member's program. A spec that does not hold exactly that
// one, or a program that is not for the XDP hook of an interface, is an error that
// satisfies errors.Is(err, chain.ErrInvalid).
func (m *Member) Program() (*ebpf.ProgramSpec, error) {
	if m.Spec == nil || m.Spec.Programs[m.Function] == nil || !m.holdsStagesAlone() {
		return nil, fmt.Errorf("%w: member %q must hold the program %q and no other for an interface", chain.ErrInvalid, m.Name, m.Function)
	}
	p := m.Spec.Programs[m.Function]
	if p.Type != ebpf.XDP {
		return nil, fmt.Errorf("%w: program %q of member %q is of type %s; a chain holds XDP programs", chain.ErrInvalid, m.Function, m.Name, p.Type)
	}
	// Programs for the entries of a devmap or cpumap have an attach type of their
	// own. None is what libbpf and clang give a plain one for kernels before 5.9.
	if p.AttachType != ebpf.AttachXDP && p.AttachType != ebpf.AttachNone {
		return nil, fmt.Errorf("%w: program %q of member %q is to be attached as %s; a chain sits on an interface", chain.ErrInvalid, m.Function, m.Name, p.AttachType)
	}
	return p, nil
}

// holdsStagesAlone reports whether all programs but the member's are for entries of maps.
func (m *Member) holdsStagesAlone() bool {
	for name, p := range m.Spec.Programs {
		if name != m.Function && p.AttachType != ebpf.AttachXDPDevMap && p.AttachType != ebpf.AttachXDPCPUMap {
			return false
		}
	}
	return true
}
