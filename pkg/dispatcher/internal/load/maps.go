// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/bpfspec"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// Maps puts the maps of all members into built, with what redirects to programs of
// their own.
func Maps(built *dispatcher.Built, members []dispatcher.Member, redirects Redirects) error {
	made := make([]map[string]*ebpf.Map, len(members))
	err := Each(len(members), func(i int) (err error) {
		if made[i], err = mapsOf(&members[i]); err != nil {
			return fmt.Errorf("making the maps of member %q: %w", members[i].Name, bpfspec.RefusedMap(err))
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
		if bpfspec.Redirects(spec.Type) {
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

// Redirects is what the entries of devmaps and cpumaps depend on besides their member.
type Redirects struct {
	// InNetNS is that of [dispatcher.Options].
	InNetNS func(func() error) error
	// Frags says of the program that uses the maps that it is loaded for packets of
	// several buffers. Since Linux 5.18 all programs in one such map have to be loaded as
	// the one that uses it (bpf_prog_map_compatible of kernel/bpf/core.c).
	Frags bool
}

// fill puts the entries into the maps of a member that were made for it.
func (r Redirects) fill(m *dispatcher.Member, made map[string]*ebpf.Map) error {
	if m.Loaded != nil || m.Spec == nil {
		return nil
	}
	programs := make(map[string]*ebpf.Program)
	defer func() {
		for _, p := range programs {
			p.Close() // the map holds it
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(m.Spec.Maps)) {
		spec := m.Spec.Maps[name]
		if !bpfspec.Redirects(spec.Type) || m.Maps[name] != nil {
			continue
		}
		if err := r.loadEntryPrograms(programs, m, spec, made); err != nil {
			return err
		}
		put := func() error { return putTargets(made[name], spec.Contents, programs) }
		if r.InNetNS != nil && spec.Type != ebpf.CPUMap {
			within := put
			put = func() error { return r.InNetNS(within) }
		}
		if err := put(); err != nil {
			return fmt.Errorf("filling map %q of member %q: %w", name, m.Name, bpfspec.RefusedMap(err))
		}
	}
	return nil
}

// loadEntryPrograms loads the programs of a map's entries that are not loaded yet.
func (r Redirects) loadEntryPrograms(loaded map[string]*ebpf.Program, m *dispatcher.Member, spec *ebpf.MapSpec, made map[string]*ebpf.Map) error {
	for _, kv := range spec.Contents {
		entry, ok := kv.Value.(chain.EntryProgram)
		if !ok || loaded[entry.Function] != nil {
			continue
		}
		program := m.Spec.Programs[entry.Function]
		if program == nil {
			return fmt.Errorf("%w: member %q does not hold the program %q, which an entry of its map %q has", chain.ErrInvalid, m.Name, entry.Function, spec.Name)
		}
		program = program.Copy()
		program.Flags &^= unix.BPF_F_XDP_HAS_FRAGS
		if r.Frags {
			program.Flags |= unix.BPF_F_XDP_HAS_FRAGS
		}
		if err := Associate(program.Instructions, made); err != nil {
			return fmt.Errorf("second stage %q of member %q: %w", entry.Function, m.Name, err)
		}
		p, err := ebpf.NewProgram(program)
		if err != nil {
			return fmt.Errorf("second stage %q: %w", entry.Function, Blame(m.Name, err))
		}
		loaded[entry.Function] = p
	}
	return nil
}

func putTargets(into *ebpf.Map, contents []ebpf.MapKV, programs map[string]*ebpf.Program) error {
	needs := "an interface of the network namespace that the chain's is in"
	if into.Type() == ebpf.CPUMap {
		needs = "a CPU of this machine for its key, and a queue that is not too long"
	}
	for i, kv := range contents {
		value := kv.Value
		if entry, ok := value.(chain.EntryProgram); ok {
			value = bpfspec.EntryValue(entry, programs[entry.Function].FD())
		}
		if err := into.Put(kv.Key, value); err != nil {
			return fmt.Errorf("entry %d needs %s: %w", i, needs, err)
		}
	}
	return nil
}
