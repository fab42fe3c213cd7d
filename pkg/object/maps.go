// SPDX-License-Identifier: Apache-2.0

package object

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// ConfigureMaps sets the size and the entries of the program's maps. Scope and
// pinned are for whoever loads the program: see [Program.MapScope]. Errors name the
// map and, where it is about one, the entry by its index from 0; a name that is no
// map's is an error that lists those there are.
func (p *Program) ConfigureMaps(settings map[string]chain.MapSettings) error {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if err := p.configureMap(name, settings[name]); err != nil {
			return unusable{fmt.Errorf("object %s: map %q: %w", p.object.Origin, name, err)}
		}
	}
	return nil
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
