// SPDX-License-Identifier: Apache-2.0

package object

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// choose finds the program of a function name, or the only one that can stand in
// a chain.
func (o *Object) choose(function string) (*ebpf.ProgramSpec, error) {
	if function != "" {
		spec := o.spec.Programs[function]
		if spec == nil {
			return nil, fmt.Errorf("no program %q; the object holds %s", function, inventory(o.spec.Programs))
		}
		if err := checkKind(spec); err != nil {
			return nil, fmt.Errorf("program %q cannot stand in a chain: %w", function, err)
		}
		return spec, nil
	}
	var found []*ebpf.ProgramSpec
	for _, name := range slices.Sorted(maps.Keys(o.spec.Programs)) {
		if spec := o.spec.Programs[name]; checkKind(spec) == nil {
			found = append(found, spec)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("no XDP program; the object holds %s", inventory(o.spec.Programs))
	case 1:
		return found[0], nil
	default:
		return nil, fmt.Errorf("%d XDP programs; name one with function; the object holds %s", len(found), inventory(o.spec.Programs))
	}
}

// inventory lists programs as `a (xdp), b (tc)`, by name and section.
func inventory(programs map[string]*ebpf.ProgramSpec) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		list = append(list, fmt.Sprintf("%s (%s)", name, programs[name].SectionName))
	}
	return enumerate(list)
}

// enumerate joins a list for a message, cutting it off where nobody would read on.
func enumerate(list []string) string {
	const most = 16
	if len(list) == 0 {
		return "none"
	}
	if len(list) > most {
		list = append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", len(list)-most))
	}
	return strings.Join(list, ", ")
}

// checkKind returns nil for a program that the kernel lets run on an interface's
// own packets.
func checkKind(spec *ebpf.ProgramSpec) error {
	switch {
	case spec.Type == ebpf.UnspecifiedProgram:
		return fmt.Errorf("its section %q does not say what it is; use SEC(\"xdp\")", spec.SectionName)
	case spec.Type != ebpf.XDP:
		return fmt.Errorf("it is a %v program (section %q), not XDP", spec.Type, spec.SectionName)
	case spec.AttachType == ebpf.AttachXDPDevMap:
		return fmt.Errorf("its section %q makes it run on frames that a devmap redirects, not on those an interface receives", spec.SectionName)
	case spec.AttachType == ebpf.AttachXDPCPUMap:
		return fmt.Errorf("its section %q makes it run on frames that a cpumap redirects, not on those an interface receives", spec.SectionName)
	}
	return nil
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
			return fmt.Errorf("it reads the kernel's configuration (extern __kconfig %s), which a member of a chain cannot; use a global variable", enumerate(variables(o.kconfig)))
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
