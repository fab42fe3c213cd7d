// SPDX-License-Identifier: Apache-2.0

package object

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Program is one XDP program out of an [Object], on its way to the kernel.
type Program struct {
	// Spec holds the program, named Function, and the maps and variables that it
	// refers to, under their names in the object. Where entries of its maps have
	// programs, second stages, it holds those, too.
	Spec *ebpf.CollectionSpec
	// Function is the program's name.
	Function string
	// RunConfig is what the object itself says about the program's place in a
	// chain: the XDP_RUN_CONFIG of libxdp's xdp/xdp_helpers.h.
	RunConfig chain.RunConfig
	// Frags reports whether the program, and what second stages it has, can take
	// packets of several fragments (SEC("xdp.frags")).
	Frags bool
	// License is the object's license section, empty where it has none.
	License string
	// GPLCompatible reports whether the kernel takes License for compatible with
	// the GPL.
	GPLCompatible bool

	object *Object
	byName map[string]bool // maps declared LIBBPF_PIN_BY_NAME
}

// Program returns the program that a function of the object is; "" stands for the
// only XDP program there is. Each call returns a copy of its own. Errors say what
// the object holds, where the choice is missing or ambiguous, or why the program
// cannot stand in a chain.
func (o *Object) Program(function string) (*Program, error) {
	p, err := o.program(function)
	if err != nil {
		return nil, unusable{fmt.Errorf("object %s: %w", o.Origin, err)}
	}
	return p, nil
}

func (o *Object) program(function string) (*Program, error) {
	spec, err := o.choose(function)
	if err != nil {
		return nil, err
	}
	p := &Program{
		Function:      spec.Name,
		Frags:         true,
		License:       spec.License,
		GPLCompatible: chain.GPLCompatible(spec.License),
		object:        o,
		byName:        make(map[string]bool),
		Spec: &ebpf.CollectionSpec{
			Programs:  make(map[string]*ebpf.ProgramSpec),
			Maps:      make(map[string]*ebpf.MapSpec),
			Variables: make(map[string]*ebpf.VariableSpec),
			ByteOrder: o.spec.ByteOrder,
			Types:     o.spec.Types,
		},
	}
	if p.RunConfig, err = readRunConfig(o.runConfig, spec.Name); err != nil {
		return nil, fmt.Errorf("run config of program %q: %w", spec.Name, err)
	}
	return p, p.addProgram(spec)
}

// addProgram copies a program out of the object, with what it refers to.
func (p *Program) addProgram(spec *ebpf.ProgramSpec) error {
	if err := p.object.checkReferences(spec); err != nil {
		return fmt.Errorf("program %q: %w", spec.Name, err)
	}
	for _, name := range mapsOf(spec) {
		if err := p.addMap(name); err != nil {
			return fmt.Errorf("program %q: map %q: %w", spec.Name, name, err)
		}
	}
	for name, v := range p.object.spec.Variables {
		if p.Spec.Maps[v.SectionName] != nil && p.Spec.Variables[name] == nil {
			p.Spec.Variables[name] = v.Copy()
		}
	}
	p.Spec.Programs[spec.Name] = spec.Copy()
	p.Frags = p.Frags && spec.Flags&unix.BPF_F_XDP_HAS_FRAGS != 0
	return nil
}

// mapsOf returns the names of the maps that a program refers to, some more than once.
func mapsOf(spec *ebpf.ProgramSpec) []string {
	var names []string
	for i := range spec.Instructions {
		if ins := &spec.Instructions[i]; ins.IsLoadFromMap() && ins.Reference() != "" {
			names = append(names, ins.Reference())
		}
	}
	return names
}

// addMap copies a map out of the object, and with a map of maps those it holds.
func (p *Program) addMap(name string) error {
	spec := p.object.spec.Maps[name]
	switch {
	case p.Spec.Maps[name] != nil:
		return nil
	case spec == nil:
		return fmt.Errorf("the object does not declare it")
	}
	if err := checkMap(spec); err != nil {
		return err
	}
	spec = spec.Copy()
	p.byName[name] = spec.Pinning == ebpf.PinByName
	spec.Pinning = ebpf.PinNone
	p.Spec.Maps[name] = spec
	for i, kv := range spec.Contents {
		switch v := kv.Value.(type) {
		case []byte: // a data section, which SetGlobals changes
			spec.Contents[i].Value = slices.Clone(v)
		case string: // an inner map
			if err := p.addMap(v); err != nil {
				return fmt.Errorf("inner map %q: %w", v, err)
			}
		}
	}
	return nil
}

// checkMap refuses maps that a member of a chain cannot bring along.
func checkMap(spec *ebpf.MapSpec) error {
	switch {
	case spec.Extra != nil && spec.Extra.Len() > 0:
		return fmt.Errorf("it is declared in iproute2's way (struct bpf_elf_map); declare it in SEC(\".maps\")")
	case spec.Type == ebpf.ProgramArray && len(spec.Contents) > 0:
		return fmt.Errorf("it is filled with programs of the object; a member of a chain is one program")
	}
	return checkMemory(spec)
}
