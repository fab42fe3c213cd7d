// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// Maps puts the maps of all members into built, with what redirects to programs of
// their own.
func Maps(built *dispatcher.Built, members []dispatcher.Member, redirects Redirects) error {
	made := make([]map[string]*ebpf.Map, len(members))
	err := Each(len(members), func(i int) (err error) {
		if made[i], err = mapsOf(&members[i]); err != nil {
			return fmt.Errorf("making the maps of member %q: %w", members[i].Name, dispatcher.RefusedMap(err))
		}
		return redirects.fill(&members[i], made[i])
	})
	for i, m := range members {
		if m.Spec != nil { // somebody else's member keeps its maps to itself
			built.Maps[m.Name] = made[i]
		}
	}
	return err
}

// mapsOf makes the maps of one member, fills and freezes them, and takes clones of
// those it was given. Those that redirect stay empty. A member that is loaded has its
// maps.
func mapsOf(m *dispatcher.Member) (map[string]*ebpf.Map, error) {
	if m.Loaded != nil {
		return clones(m.Maps)
	}
	specs := make(map[string]*ebpf.MapSpec, len(m.Spec.Maps))
	for name, spec := range m.Spec.Maps {
		spec = spec.Copy()
		// Where maps are pinned is not the object's business but the caller's.
		spec.Pinning = ebpf.PinNone
		if dispatcher.Redirects(spec.Type) {
			spec.Contents = nil
		}
		if err := setVariables(spec, name, m.Spec.Variables); err != nil {
			return nil, err
		}
		specs[name] = spec
	}
	made, err := ebpf.NewCollectionWithOptions(&ebpf.CollectionSpec{Maps: specs}, ebpf.CollectionOptions{MapReplacements: m.Maps})
	if err != nil {
		return nil, err
	}
	return made.Maps, nil
}

func clones(given map[string]*ebpf.Map) (map[string]*ebpf.Map, error) {
	cloned := make(map[string]*ebpf.Map, len(given))
	for name, m := range given {
		clone, err := m.Clone()
		if err != nil {
			return cloned, fmt.Errorf("map %q: %w", name, err)
		}
		cloned[name] = clone
	}
	return cloned, nil
}

// setVariables writes the variables of a data section into its contents. A
// collection would do so too if it were given the variables, but it also maps the
// section into memory, which keeps the map alive beyond its Close.
func setVariables(spec *ebpf.MapSpec, section string, variables map[string]*ebpf.VariableSpec) error {
	var data []byte
	for name, v := range variables {
		if v.SectionName != section {
			continue
		}
		if data == nil {
			contents, ok := spec.Contents[0].Value.([]byte)
			if !ok {
				return fmt.Errorf("%w: data section %q holds no bytes", chain.ErrInvalid, section)
			}
			data = slices.Clone(contents)
			spec.Contents = []ebpf.MapKV{{Key: spec.Contents[0].Key, Value: data}}
		}
		if int64(v.Offset)+int64(len(v.Value)) > int64(len(data)) {
			return fmt.Errorf("%w: variable %q lies outside of data section %q", chain.ErrInvalid, name, section)
		}
		copy(data[v.Offset:], v.Value)
	}
	return nil
}

// Associate puts maps in the place of references to them.
func Associate(insns asm.Instructions, maps map[string]*ebpf.Map) error {
	for i := range insns {
		name := insns[i].Reference()
		if !insns[i].IsLoadFromMap() || maps[name] == nil {
			continue
		}
		if err := insns[i].AssociateMap(maps[name]); err != nil {
			return fmt.Errorf("map %q: %w", name, err)
		}
	}
	return nil
}
