// SPDX-License-Identifier: Apache-2.0

package object

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// ConfigureMaps sets the size and the entries of the program's maps, and brings in the
// second stages that entries name, with maps and variables of theirs: globals are set
// after it. Scope and pinned are for whoever loads the program: see [Program.MapScope].
// Errors name the map and, where it is about one, the entry by its index from 0; a name
// that is no map's is an error that lists those there are.
func (p *Program) ConfigureMaps(settings map[string]chain.MapSettings) error {
	if err := p.configureMaps(settings); err != nil {
		return unusable{fmt.Errorf("object %s: %w", p.object.Origin, err)}
	}
	return nil
}

func (p *Program) configureMaps(settings map[string]chain.MapSettings) error {
	// Maps that only second stages use come after those that bring them in.
	left := slices.Sorted(maps.Keys(settings))
	for len(left) > 0 {
		known := slices.IndexFunc(left, func(name string) bool { return p.Spec.Maps[name] != nil })
		name := left[max(known, 0)]
		if err := p.configureMap(name, settings[name]); err != nil {
			return fmt.Errorf("map %q: %w", name, err)
		}
		left = slices.DeleteFunc(left, func(other string) bool { return other == name })
	}
	return p.checkStages()
}

func (p *Program) configureMap(name string, settings chain.MapSettings) error {
	spec := p.Spec.Maps[name]
	switch {
	case isDataSection(name):
		return errors.New("it holds global variables; set those with globals")
	case spec == nil && p.object.spec.Maps[name] != nil:
		return fmt.Errorf("program %q does not use it", p.Function)
	case spec == nil:
		return fmt.Errorf("there is no such map; the program has %s", enumerate(p.mapNames()))
	}
	if settings.MaxEntries != 0 {
		spec.MaxEntries = settings.MaxEntries
		if err := checkMemory(spec); err != nil {
			return fmt.Errorf("maxEntries: %w", err)
		}
	}
	if len(settings.Entries) == 0 {
		return nil
	}
	contents, err := encodeEntries(spec, settings.Entries)
	if err != nil {
		return err
	}
	spec.Contents = contents
	if err := p.checkShared(name, settings); err != nil {
		return err
	}
	return p.addStages(name)
}

// checkShared refuses entries that are one chain's own in a map that is several chains'.
func (p *Program) checkShared(name string, settings chain.MapSettings) error {
	spec := p.Spec.Maps[name]
	if p.MapScope(name, map[string]chain.MapSettings{name: settings}) != chain.ScopeNode {
		return nil
	}
	switch {
	case spec.Type == ebpf.DevMap || spec.Type == ebpf.DevMapHash:
		return errors.New("its entries are interfaces of one network namespace, and scope node would share it between several; give it scope pod")
	case len(stagesIn(spec)) > 0:
		return errors.New("its entries have programs, which are one chain's, and scope node would share it between several; give it scope pod")
	}
	return nil
}

func (p *Program) mapNames() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(p.Spec.Maps)), isDataSection)
}

// MapScope returns who shares a map of the program: what the settings say, else
// the node for a map declared LIBBPF_PIN_BY_NAME, else the pod.
func (p *Program) MapScope(mapName string, settings map[string]chain.MapSettings) chain.Scope {
	switch scope := settings[mapName].Scope; {
	case scope != chain.ScopeDefault:
		return scope
	case p.byName[mapName]:
		return chain.ScopeNode
	default:
		return chain.ScopePod
	}
}
