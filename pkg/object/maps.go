// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/bpfspec"
)

// MapSettings says how a map of a program is to be made.
type MapSettings struct {
	// MaxEntries changes the map's size; 0 keeps the object's.
	MaxEntries uint32
	// Entries are put into the map before the program runs.
	Entries []MapEntry
	// Shared says that several chains use the map, so that what only one of them has cannot
	// be in its entries.
	Shared bool
}

// MapEntry is one key and value, JSON to be encoded by the map's BTF types.
type MapEntry struct {
	Key   json.RawMessage
	Value json.RawMessage
}

// ConfigureMaps sets the size and the entries of the program's maps, and brings in the
// entry programs that entries name, with maps and variables of theirs: globals are set
// after it. Whose a map is, is for whoever loads the program to say: see
// [Program.PinnedByName].
// Errors name the map and, where it is about one, the entry by its index from 0; a name
// that is no map's is an error that lists those there are.
func (p *Program) ConfigureMaps(settings map[string]MapSettings) error {
	if err := p.configureMaps(settings); err != nil {
		return unusable{fmt.Errorf("object %s: %w", p.object.Origin, err)}
	}
	return nil
}

func (p *Program) configureMaps(settings map[string]MapSettings) error {
	// Maps that only entry programs use come after those that bring them in.
	left := slices.Sorted(maps.Keys(settings))
	for len(left) > 0 {
		known := slices.IndexFunc(left, func(name string) bool { return p.Spec.Maps[name] != nil })
		name := left[max(known, 0)]
		if err := p.configureMap(name, settings[name]); err != nil {
			return fmt.Errorf("map %q: %w", name, err)
		}
		left = slices.DeleteFunc(left, func(other string) bool { return other == name })
	}
	return p.checkEntryPrograms()
}

func (p *Program) configureMap(name string, settings MapSettings) error {
	spec := p.Spec.Maps[name]
	switch {
	case isDataSection(name):
		return errors.New("it holds global variables; set those with globals")
	case spec == nil && p.object.spec.Maps[name] != nil:
		return fmt.Errorf("program %q does not use it", p.Function)
	case spec == nil:
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(p.Spec.Maps)), isDataSection)
		return fmt.Errorf("there is no such map; the program has %s", bpfspec.Enumerate(names))
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
	isDevMap := spec.Type == ebpf.DevMap || spec.Type == ebpf.DevMapHash
	switch { // entries that are one chain's own in a map that is several chains'
	case settings.Shared && isDevMap:
		return errors.New("its entries are interfaces of one network namespace, and scope node would share it between several; give it scope pod")
	case settings.Shared && len(bpfspec.EntryPrograms(spec)) > 0:
		return errors.New("its entries have programs, which are one chain's, and scope node would share it between several; give it scope pod")
	}
	return p.addEntryPrograms(spec)
}

// PinnedByName reports whether the object declares a map of the program
// LIBBPF_PIN_BY_NAME: libbpf shares it by its name with every program that does.
func (p *Program) PinnedByName(mapName string) bool { return p.byName[mapName] }

const (
	// maxMapMemory is what one map may take of the kernel's memory at most, in bytes,
	// when it is full. A map of a gigabyte for each pod is a mistake in a declaration.
	maxMapMemory = 1 << 30
	// maxKeySize is the kernel's limit for keys of hash maps, MAX_BPF_STACK of
	// linux/filter.h; those of other maps are smaller.
	maxKeySize = 512
)

// checkMemory refuses a map that would take too much when full. It counts keys and
// values, not the kernel's bookkeeping.
func checkMemory(spec *ebpf.MapSpec) error {
	if spec.KeySize > maxKeySize {
		return fmt.Errorf("keys of %d bytes; at most %d are allowed", spec.KeySize, maxKeySize)
	}
	if spec.ValueSize > MaxSize {
		return fmt.Errorf("values of %d bytes; at most %d are allowed", spec.ValueSize, MaxSize)
	}
	entry, value := align8(spec.KeySize), align8(spec.ValueSize)
	copies := uint64(1)
	if perCPU(spec.Type) {
		cpus, err := ebpf.PossibleCPU()
		if err != nil {
			return err
		}
		copies = uint64(cpus)
	}
	if spec.Type == ebpf.RingBuf || spec.Type == ebpf.UserRingbuf {
		entry, value = 1, 0 // max_entries is its size in bytes
	}
	entry += value * copies
	if most := maxMapMemory / max(entry, 1); uint64(spec.MaxEntries) > most {
		return fmt.Errorf("%d entries of %d bytes are more than the %d bytes that a map may take; at most %d fit", spec.MaxEntries, entry, maxMapMemory, most)
	}
	return nil
}

func align8(size uint32) uint64 { return (uint64(size) + 7) &^ 7 }

// perCPU reports whether a map holds a value for each CPU.
func perCPU(t ebpf.MapType) bool {
	return t == ebpf.PerCPUHash || t == ebpf.PerCPUArray || t == ebpf.LRUCPUHash || t == ebpf.PerCPUCGroupStorage
}

// addEntryPrograms brings in the programs of a map's entries.
func (p *Program) addEntryPrograms(m *ebpf.MapSpec) error {
	for _, function := range bpfspec.EntryPrograms(m) {
		program := p.object.spec.Programs[function]
		if program == nil {
			return fmt.Errorf("no program %q; the object holds %s", function, bpfspec.Inventory(p.object.spec.Programs))
		}
		if r := redirects[m.Type]; program.Type != ebpf.XDP || program.AttachType != r.attach {
			return fmt.Errorf("program %q (section %q) cannot run on what a map of type %v redirects; that takes SEC(%q)", function, program.SectionName, m.Type, r.section)
		}
		if p.Spec.Programs[function] != nil {
			continue
		}
		if err := p.addProgram(program); err != nil {
			return err
		}
	}
	return nil
}

// checkEntryPrograms refuses a map one of whose programs leads back to it: each would
// keep the other in the kernel for ever.
func (p *Program) checkEntryPrograms() error {
	for name, spec := range p.Spec.Maps {
		if len(bpfspec.EntryPrograms(spec)) > 0 && slices.Contains(p.EntryProgramMaps(name), name) {
			return fmt.Errorf("map %q: a program in its entries uses the map itself; the kernel would never let go of either", name)
		}
	}
	return nil
}

// EntryProgramMaps returns the names of the maps that the programs in a map's entries
// use, and of those that the programs in these use, each once; none for a map without
// programs.
func (p *Program) EntryProgramMaps(name string) []string {
	var found []string
	for left := []string{name}; len(left) > 0; left = left[1:] {
		for _, function := range bpfspec.EntryPrograms(p.Spec.Maps[left[0]]) {
			for _, used := range bpfspec.MapsOf(p.Spec.Programs[function]) {
				if !slices.Contains(found, used) {
					found, left = append(found, used), append(left, used)
				}
			}
		}
	}
	return found
}
