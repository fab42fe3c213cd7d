// SPDX-License-Identifier: Apache-2.0

package bpfspec

import (
	"maps"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// MapsOf returns the names of the maps that a program refers to, some more than once.
func MapsOf(p *ebpf.ProgramSpec) []string {
	var names []string
	for i := range p.Instructions {
		if ins := &p.Instructions[i]; ins.IsLoadFromMap() && ins.Reference() != "" {
			names = append(names, ins.Reference())
		}
	}
	return names
}

// EntryPrograms returns the functions of the programs in a map's entries, some more than
// once.
func EntryPrograms(m *ebpf.MapSpec) []string {
	var functions []string
	for _, kv := range m.Contents {
		if entry, ok := kv.Value.(chain.EntryProgram); ok {
			functions = append(functions, entry.Function)
		}
	}
	return functions
}

// InnerMaps returns the names of the maps that an array or hash of maps holds, some more
// than once.
func InnerMaps(m *ebpf.MapSpec) []string {
	if m.Type != ebpf.ArrayOfMaps && m.Type != ebpf.HashOfMaps {
		return nil
	}
	var names []string
	for _, kv := range m.Contents {
		if name, ok := kv.Value.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// Narrow returns the part of a collection that is left when one of its programs alone is to
// be loaded: the other programs are gone but for those in entries of its maps, and so are
// the maps that nothing but them refers to. What no program refers to stays.
func Narrow(spec *ebpf.CollectionSpec, function string) *ebpf.CollectionSpec {
	if len(spec.Programs) == 1 && spec.Programs[function] != nil {
		return spec
	}
	needed := reached{spec: spec, programs: make(map[string]bool), maps: make(map[string]bool)}
	needed.program(function)
	all := reached{spec: spec, programs: make(map[string]bool), maps: make(map[string]bool)}
	for name := range spec.Programs {
		all.program(name)
	}
	narrow := *spec
	narrow.Programs, narrow.Maps = maps.Clone(spec.Programs), maps.Clone(spec.Maps)
	maps.DeleteFunc(narrow.Programs, func(name string, _ *ebpf.ProgramSpec) bool { return !needed.programs[name] })
	maps.DeleteFunc(narrow.Maps, func(name string, _ *ebpf.MapSpec) bool { return all.maps[name] && !needed.maps[name] })
	return &narrow
}

// reached is what can be reached from some programs of a collection.
type reached struct {
	spec           *ebpf.CollectionSpec
	programs, maps map[string]bool
}

func (r *reached) program(name string) {
	p := r.spec.Programs[name]
	if p == nil || r.programs[name] {
		return
	}
	r.programs[name] = true
	for _, used := range MapsOf(p) {
		r.mapSpec(used)
	}
}

func (r *reached) mapSpec(name string) {
	m := r.spec.Maps[name]
	if m == nil || r.maps[name] {
		return
	}
	r.maps[name] = true
	for _, inner := range InnerMaps(m) {
		r.mapSpec(inner)
	}
	for _, function := range EntryPrograms(m) {
		r.program(function)
	}
}
