// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

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
		if !dispatcher.Redirects(spec.Type) || m.Maps[name] != nil {
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
			return fmt.Errorf("filling map %q of member %q: %w", name, m.Name, dispatcher.RefusedMap(err))
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
			value = entry.Value(programs[entry.Function].FD())
		}
		if err := into.Put(kv.Key, value); err != nil {
			return fmt.Errorf("entry %d needs %s: %w", i, needs, err)
		}
	}
	return nil
}
