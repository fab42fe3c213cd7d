// SPDX-License-Identifier: Apache-2.0

package bpfspec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
)

// Choose returns the name of the program that a function is, "" standing for the only one
// that can stand in a chain. Errors say what there is, where the choice is missing or
// ambiguous, or why the program cannot stand in a chain.
func Choose(programs map[string]*ebpf.ProgramSpec, function string) (string, error) {
	if function != "" {
		spec := programs[function]
		if spec == nil {
			return "", fmt.Errorf("no program %q; the object holds %s", function, Inventory(programs))
		}
		if err := checkKind(spec); err != nil {
			return "", fmt.Errorf("program %q cannot stand in a chain: %w", function, err)
		}
		return function, nil
	}
	var found []string
	for name, spec := range programs {
		if checkKind(spec) == nil {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no XDP program; the object holds %s", Inventory(programs))
	case 1:
		return found[0], nil
	default:
		return "", fmt.Errorf("%d XDP programs; name one with function; the object holds %s", len(found), Inventory(programs))
	}
}

// checkKind returns nil for a program that the kernel lets run on an interface's own
// packets.
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

// Inventory lists programs as `a (xdp), b (tc)`, by name and section.
func Inventory(programs map[string]*ebpf.ProgramSpec) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		list = append(list, fmt.Sprintf("%s (%s)", name, programs[name].SectionName))
	}
	return Enumerate(list)
}

// Enumerate joins a list for a message, cutting it off where nobody would read on.
func Enumerate(list []string) string {
	const most = 16
	if len(list) == 0 {
		return "none"
	}
	if len(list) > most {
		list = append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", len(list)-most))
	}
	return strings.Join(list, ", ")
}
