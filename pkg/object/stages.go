// SPDX-License-Identifier: Apache-2.0

package object

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// addStages brings in the programs of a map's entries.
func (p *Program) addStages(name string) error {
	spec := p.Spec.Maps[name]
	for _, function := range stagesIn(spec) {
		stage, err := p.object.chooseStage(spec.Type, function)
		if err != nil {
			return err
		}
		if p.Spec.Programs[function] != nil {
			continue
		}
		if err := p.addProgram(stage); err != nil {
			return err
		}
	}
	return nil
}

// chooseStage finds the program of a function name that can be in an entry of a map.
func (o *Object) chooseStage(t ebpf.MapType, function string) (*ebpf.ProgramSpec, error) {
	spec := o.spec.Programs[function]
	if spec == nil {
		return nil, fmt.Errorf("no program %q; the object holds %s", function, inventory(o.spec.Programs))
	}
	if r, _ := redirectOf(t); spec.Type != ebpf.XDP || spec.AttachType != r.attach {
		return nil, fmt.Errorf("program %q (section %q) cannot run on what a map of type %v redirects; that takes SEC(%q)", function, spec.SectionName, t, r.section)
	}
	return spec, nil
}

// stagesIn returns the functions of the programs in a map's entries, some more than once.
func stagesIn(spec *ebpf.MapSpec) []string {
	var functions []string
	for _, kv := range spec.Contents {
		if stage, ok := kv.Value.(chain.EntryProgram); ok {
			functions = append(functions, stage.Function)
		}
	}
	return functions
}

// checkStages refuses a map one of whose programs leads back to it: each would keep the
// other in the kernel for ever.
func (p *Program) checkStages() error {
	for name, spec := range p.Spec.Maps {
		if len(stagesIn(spec)) > 0 && slices.Contains(p.StageMaps(name), name) {
			return fmt.Errorf("map %q: a program in its entries uses the map itself; the kernel would never let go of either", name)
		}
	}
	return nil
}

// StageMaps returns the maps that the programs in a map's entries use, and those that the
// programs in these use, each once; none for a map without programs.
func (p *Program) StageMaps(name string) []string {
	var found []string
	for left := []string{name}; len(left) > 0; left = left[1:] {
		for _, function := range stagesIn(p.Spec.Maps[left[0]]) {
			for _, used := range mapsOf(p.Spec.Programs[function]) {
				if !slices.Contains(found, used) {
					found, left = append(found, used), append(left, used)
				}
			}
		}
	}
	return found
}
