// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

var (
	// ErrNotDispatcher says that libxdp does not take a program for a dispatcher.
	ErrNotDispatcher = errors.New("not a libxdp dispatcher")

	// ErrVersion says that a dispatcher's version of the protocol is not one that this
	// package knows, or not one that it makes.
	ErrVersion = errors.New("unknown version of libxdp's protocol")

	// ErrNoFreplace says that the kernel does not put programs in the place of functions
	// of others (program type BPF_PROG_TYPE_EXT), or not into a second dispatcher. It
	// satisfies errors.Is(err, ebpf.ErrNotSupported).
	ErrNoFreplace = fmt.Errorf("libxdp's dispatcher needs freplace: %w", ebpf.ErrNotSupported)
)

// check finds what can be found without the kernel, before anything is made.
func (d multiprog) check(members []dispatcher.Member, opts dispatcher.Options) error {
	switch {
	case d.version != chain.LibxdpV2 && d.version != chain.LibxdpV3:
		return fmt.Errorf("%w: a dispatcher of version %s is not made; use 2 or 3", ErrVersion, d.version)
	case opts.Ifindex != 0:
		return fmt.Errorf("%w: libxdp's dispatcher in the hardware of an interface; no hardware calls one program from another", ebpf.ErrNotSupported)
	case opts.TXByRedirect:
		return fmt.Errorf("%w: libxdp's dispatcher is compiled, and hands on the verdict tx as it is", ebpf.ErrNotSupported)
	case len(members) == 0:
		return fmt.Errorf("%w: a chain needs at least one member", chain.ErrInvalid)
	case len(members) > MaxMembers:
		return fmt.Errorf("%w: libxdp's dispatcher has %d slots, and the chain has %d members", chain.ErrTooManyMembers, MaxMembers, len(members))
	}
	var own []chain.Member
	names := make(map[string]bool, len(members))
	for i := range members {
		m := &members[i]
		if names[m.Name] {
			return fmt.Errorf("%w: two members of the chain are named %q; names are unique on an interface", chain.ErrInvalid, m.Name)
		}
		names[m.Name] = true
		if err := checkMember(m); err != nil {
			return err
		}
		if m.Spec != nil {
			own = append(own, m.Member)
		}
	}
	// What libxdp's tools call their members is their affair.
	return chain.CheckMembers(own, MaxMembers)
}

func checkMember(m *dispatcher.Member) error {
	if m.Loaded != nil && m.Loaded.Type() != ebpf.Extension {
		return fmt.Errorf("%w: the loaded program of member %q is of type %s; a slot takes those of type %s", chain.ErrInvalid, m.Name, m.Loaded.Type(), ebpf.Extension)
	}
	if m.Spec == nil && m.Loaded != nil {
		return nil
	}
	p, err := load.Check(m)
	if err != nil {
		return err
	}
	if btf.FuncMetadata(&p.Instructions[0]) == nil {
		return fmt.Errorf("member %q, function %q: %w", m.Name, m.Function, dispatcher.ErrNoBTF)
	}
	return load.CheckProgramArrays(m)
}
