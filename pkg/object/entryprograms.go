// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/jsonint"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// redirect is a type of map by which a member redirects frames: a devmap or a
// cpumap. An entry of it can have an entry program, which runs on what the member
// redirects to the entry.
type redirect struct {
	// target is what the first word of a value is called: a member of struct
	// bpf_devmap_val and of struct bpf_cpumap_val (linux/bpf.h).
	target string
	// attach is the type that entry programs are loaded with, and section theirs.
	attach  ebpf.AttachType
	section string
}

var redirects = map[ebpf.MapType]redirect{
	ebpf.DevMap:     {"ifindex", ebpf.AttachXDPDevMap, "xdp/devmap"},
	ebpf.DevMapHash: {"ifindex", ebpf.AttachXDPDevMap, "xdp/devmap"},
	ebpf.CPUMap:     {"qsize", ebpf.AttachXDPCPUMap, "xdp/cpumap"},
}

// sizeWithProgram is the size of a value with an entry program, in bytes. Without one,
// 4 do.
const sizeWithProgram = 8

// encode takes {"ifindex": 7} or {"qsize": 192}, with "program" or without, or the number
// alone. It returns bytes, or a [chain.EntryProgram]. What the values are is the kernel's
// business, whatever types the object gives them.
func (r redirect) encode(spec *ebpf.MapSpec, value json.RawMessage) (any, error) {
	if spec.ValueSize != 4 && spec.ValueSize != sizeWithProgram {
		return nil, fmt.Errorf("a map of type %v cannot have values of %d bytes", spec.Type, spec.ValueSize)
	}
	given := []member{{r.target, value}} // as if it were an object
	if _, ok := jsonint.Parse(value); !ok {
		var err error
		if given, err = members(value); err != nil {
			return nil, wants(fmt.Sprintf(`a number, or an object such as {%q: 1, "program": "name"}`, r.target), value)
		}
	}
	var entry chain.EntryProgram
	for _, g := range given {
		if err := r.encodeMember(&entry, g); err != nil {
			return nil, at("."+g.name, err)
		}
	}
	switch {
	case entry.Target == 0:
		return nil, fmt.Errorf("%s is missing or 0", r.target)
	case entry.Function == "":
		return entry.Value(0)[:spec.ValueSize], nil
	case spec.ValueSize != sizeWithProgram:
		return nil, errors.New("its 4 bytes have no room for a program; declare the map's value as struct bpf_devmap_val or struct bpf_cpumap_val")
	}
	return entry, nil
}

func (r redirect) encodeMember(entry *chain.EntryProgram, given member) (err error) {
	switch given.name {
	case r.target:
		word := make([]byte, 4)
		err = encode(word, u32, given.value)
		entry.Target = binary.NativeEndian.Uint32(word)
	case "program":
		if !isString(given.value) {
			return wants("the name of a program of the object", given.value)
		}
		entry.Function, err = unquote(given.value)
	default:
		return fmt.Errorf("there is no such member; there are %s and program", r.target)
	}
	return err
}

// addEntryPrograms brings in the programs of a map's entries.
func (p *Program) addEntryPrograms(m *ebpf.MapSpec) error {
	for _, function := range entryPrograms(m) {
		program := p.object.spec.Programs[function]
		if program == nil {
			return fmt.Errorf("no program %q; the object holds %s", function, inventory(p.object.spec.Programs))
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

// entryPrograms returns the functions of the programs in a map's entries, some more than
// once.
func entryPrograms(spec *ebpf.MapSpec) []string {
	var functions []string
	for _, kv := range spec.Contents {
		if entry, ok := kv.Value.(chain.EntryProgram); ok {
			functions = append(functions, entry.Function)
		}
	}
	return functions
}

// checkEntryPrograms refuses a map one of whose programs leads back to it: each would
// keep the other in the kernel for ever.
func (p *Program) checkEntryPrograms() error {
	for name, spec := range p.Spec.Maps {
		if len(entryPrograms(spec)) > 0 && slices.Contains(p.EntryProgramMaps(name), name) {
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
		for _, function := range entryPrograms(p.Spec.Maps[left[0]]) {
			for _, used := range mapsOf(p.Spec.Programs[function]) {
				if !slices.Contains(found, used) {
					found, left = append(found, used), append(left, used)
				}
			}
		}
	}
	return found
}
