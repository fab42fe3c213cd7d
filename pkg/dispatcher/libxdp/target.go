// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

// target is a loaded dispatcher whose functions are to be replaced.
type target struct {
	*ebpf.Program
	types *btf.Spec
}

// newTarget reads the BTF of a dispatcher, once for all its slots.
func newTarget(p *ebpf.Program) (*target, error) {
	handle, err := p.Handle()
	if err != nil {
		return nil, fmt.Errorf("opening the BTF of libxdp's dispatcher: %w", err)
	}
	defer handle.Close()
	types, err := handle.Spec(nil)
	if err != nil {
		return nil, fmt.Errorf("reading the BTF of libxdp's dispatcher: %w", err)
	}
	return &target{p, types}, nil
}

// fill puts a member in the place of a function. maps are the member's.
func (t *target) fill(m *dispatcher.Member, function string, maps map[string]*ebpf.Map) (dispatcher.Slot, error) {
	program, err := t.program(m, function, maps)
	if err != nil {
		return dispatcher.Slot{}, err
	}
	l, err := t.attach(program, function)
	if err != nil {
		return dispatcher.Slot{}, errors.Join(fmt.Errorf("attaching member %q: %w", m.Name, err), program.Close())
	}
	return dispatcher.Slot{Member: m.Name, Program: program, Link: l}, nil
}

// program returns the member's extension program, which it loads if nobody has before.
func (t *target) program(m *dispatcher.Member, function string, maps map[string]*ebpf.Map) (*ebpf.Program, error) {
	if m.Loaded != nil {
		p, err := m.Loaded.Clone()
		if err != nil {
			return nil, fmt.Errorf("taking the loaded program of member %q: %w", m.Name, err)
		}
		return p, nil
	}
	spec, err := t.extension(m.Spec.Programs[m.Function], function, maps)
	if err != nil {
		return nil, fmt.Errorf("member %q: %w", m.Name, err)
	}
	p, err := loadExtension(spec)
	if missing := t.missing(err); missing != nil {
		return nil, missing
	}
	if err != nil {
		return nil, load.Blame(m.Name, err)
	}
	return p, nil
}

// extension returns a copy of a program that is to take the place of a function.
func (t *target) extension(p *ebpf.ProgramSpec, function string, maps map[string]*ebpf.Map) (*ebpf.ProgramSpec, error) {
	p = p.Copy()
	if err := load.Associate(p.Instructions, maps); err != nil {
		return nil, err
	}
	// What each slot is. The object's own description may differ, as in the type of the
	// pointer, which the verifier does not read for a program of its own, but does for
	// one that is to replace a function.
	entry := load.XDPFunc(btf.FuncMetadata(&p.Instructions[0]).Name)
	p.Instructions[0] = btf.WithFuncMetadata(p.Instructions[0], entry)
	p.Type, p.AttachType = ebpf.Extension, ebpf.AttachNone
	p.AttachTarget, p.AttachTo = t.Program, function
	// Whether frags come is the dispatcher's affair; the kernel refuses the flag here.
	p.Flags &^= unix.BPF_F_XDP_HAS_FRAGS
	return p, nil
}

// attach puts a program in the place of a function until the link is closed. The
// program may have been loaded for another dispatcher.
func (t *target) attach(p *ebpf.Program, function string) (link.Link, error) {
	var replaced *btf.Func
	if err := t.types.TypeByName(function, &replaced); err != nil {
		return nil, fmt.Errorf("finding %s in the BTF of libxdp's dispatcher: %w", function, err)
	}
	id, err := t.types.TypeID(replaced)
	if err != nil {
		return nil, fmt.Errorf("finding %s in the BTF of libxdp's dispatcher: %w", function, err)
	}
	// AttachFreplace of cilium/ebpf would read the dispatcher's BTF for each slot.
	l, err := link.AttachRawLink(link.RawLinkOptions{Target: t.FD(), Program: p, Attach: ebpf.AttachNone, BTF: id})
	if missing := t.missing(err); missing != nil {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// loadExtension loads an extension program. Kernels as old as 5.10 look for the type
// of an extension's context under its own program type instead of its target's
// (btf_get_prog_ctx_type in kernel/bpf/btf.c), find none, and so refuse each global
// function that is given the context. For them such functions become static: the
// verifier then follows each call instead of proving the function once.
func loadExtension(spec *ebpf.ProgramSpec) (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(spec)
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) && strings.Contains(strings.Join(refused.Log, "\n"), "Caller passes invalid args into func#") {
		if p, staticErr := ebpf.NewProgram(withStaticFunctions(spec)); staticErr == nil {
			return p, nil
		}
	}
	return p, err
}

// withStaticFunctions returns a copy of a program in which only the entry is global.
func withStaticFunctions(spec *ebpf.ProgramSpec) *ebpf.ProgramSpec {
	spec = spec.Copy()
	for i := range spec.Instructions[1:] {
		ins := &spec.Instructions[1+i]
		if fn := btf.FuncMetadata(ins); fn != nil {
			static := *fn
			static.Linkage = btf.StaticFunc
			*ins = btf.WithFuncMetadata(*ins, &static)
		}
	}
	return spec
}
