// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/bpfspec"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Program is one XDP program out of an [Object], on its way to the kernel.
type Program struct {
	// Spec holds the program, named Function, and the maps and variables that it
	// refers to, under their names in the object. Where entries of its devmaps and
	// cpumaps have programs, it holds those, too.
	Spec *ebpf.CollectionSpec
	// Function is the program's name.
	Function string
	// RunConfig is what the object itself says about the program's place in a
	// chain: the XDP_RUN_CONFIG of libxdp's xdp/xdp_helpers.h.
	RunConfig chain.RunConfig
	// Frags reports whether the program, and what entry programs it has, can take
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
	name, err := bpfspec.Choose(o.spec.Programs, function)
	if err != nil {
		return nil, err
	}
	spec := o.spec.Programs[name]
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
	for _, name := range bpfspec.MapsOf(spec) {
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
		if data, ok := kv.Value.([]byte); ok { // a data section, which SetGlobals changes
			spec.Contents[i].Value = slices.Clone(data)
		}
	}
	for _, inner := range bpfspec.InnerMaps(spec) {
		if err := p.addMap(inner); err != nil {
			return fmt.Errorf("inner map %q: %w", inner, err)
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

// checkReferences refuses programs that refer to what a chain cannot give them.
func (o *Object) checkReferences(spec *ebpf.ProgramSpec) error {
	for i := range spec.Instructions {
		ins := &spec.Instructions[i]
		name := ins.Reference()
		switch {
		case ins.IsLoadFromMap() && name == "" && o.kconfig != nil:
			// cilium/ebpf makes one .kconfig map for each program, and the linked
			// dispatcher makes one program of several members.
			return fmt.Errorf("it reads the kernel's configuration (extern __kconfig %s), which a member of a chain cannot; use a global variable", bpfspec.Enumerate(variables(o.kconfig)))
		case ins.IsLoadFromMap() && name == "":
			return fmt.Errorf("instruction %d refers to a map that the object does not declare", i)
		case ins.Src == asm.PseudoKfuncCall && strings.HasPrefix(name, "bpf_xdp_metadata_"):
			// The kernel's bpf_dev_bound_kfunc_check: programs loaded with
			// BPF_F_XDP_DEV_BOUND_ONLY alone may call them.
			return fmt.Errorf("it calls %s, which the kernel keeps for programs that are bound to one device at load; a chain is not", name)
		}
	}
	return nil
}

// variables returns the names that a section declares.
func variables(section *btf.Datasec) []string {
	var names []string
	for _, v := range section.Vars {
		names = append(names, v.Type.TypeName())
	}
	return names
}

// SetGlobals sets global variables of the program, constants included, to values
// encoded by the variables' BTF types (see the package's description). It sets all
// of them or none. Errors name the variable, the type and what was given; a name
// that is no variable's is an error that lists those there are.
func (p *Program) SetGlobals(globals map[string]json.RawMessage) error {
	encoded := make(map[string][]byte, len(globals))
	for _, name := range slices.Sorted(maps.Keys(globals)) {
		value, err := p.encodeGlobal(name, globals[name])
		if err != nil {
			return err
		}
		encoded[name] = value
	}
	for name, value := range encoded {
		// To the variable and to the section that it lies in, so that the spec says the
		// same in both places whatever a loader does with variables.
		v := p.Spec.Variables[name]
		v.Value = value
		section := p.Spec.Maps[v.SectionName].Contents[0].Value.([]byte) // as cilium/ebpf's loadDataSections makes it
		copy(section[v.Offset:], value)
	}
	return nil
}

// CheckGlobal returns nil if [Program.SetGlobals] could set the variable to the value, and
// its error otherwise. It sets nothing.
func (p *Program) CheckGlobal(name string, value json.RawMessage) error {
	_, err := p.encodeGlobal(name, value)
	return err
}

func (p *Program) encodeGlobal(name string, value json.RawMessage) (encoded []byte, err error) {
	switch v := p.Spec.Variables[name]; {
	case v == nil:
		err = p.explainMissing(name)
	case v.Type == nil:
		err = errors.New("the object does not say its type; compile it with -g, and keep .BTF when stripping")
	case !json.Valid(value):
		err = fmt.Errorf("%q is not JSON", value)
	default:
		encoded = make([]byte, v.Size())
		err = encode(encoded, v.Type.Type, value)
	}
	if err != nil {
		return nil, unusable{fmt.Errorf("object %s: global %w", p.object.Origin, at(name, err))}
	}
	return encoded, nil
}

// explainMissing says why there is no variable of that name to set.
func (p *Program) explainMissing(name string) error {
	if v := p.object.spec.Variables[name]; v != nil {
		return fmt.Errorf("program %q does not use %s, where the object keeps it", p.Function, v.SectionName)
	}
	for section, spec := range p.object.spec.Maps {
		datasec, ok := spec.Value.(*btf.Datasec)
		if ok && isDataSection(section) && slices.Contains(variables(datasec), name) {
			return fmt.Errorf("it is static or hidden, so the object has no symbol for it; remove the qualifier")
		}
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(p.Spec.Variables)) {
		v := p.Spec.Variables[name]
		if v.Type != nil {
			name += " (" + typeName(v.Type.Type) + ")"
		}
		names = append(names, name)
	}
	return fmt.Errorf("there is no such variable; the program has %s", bpfspec.Enumerate(names))
}

// isDataSection reports whether a map of the spec is a section of variables, which
// bear names that no declared map can have.
func isDataSection(name string) bool { return strings.HasPrefix(name, ".") }
