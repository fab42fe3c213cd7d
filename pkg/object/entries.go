// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/internal/bpfspec"
	"github.com/xdp-chain/xdp-chain/internal/jsonint"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// encodeEntries returns what entries are in a map of the given spec: keys as bytes,
// values as bytes, or for a per-CPU map as one slice of bytes for each possible CPU,
// all the same, or for a devmap or cpumap whose entry names a program as a
// [chain.EntryProgram]. Errors name the entry by its index from 0.
func encodeEntries(spec *ebpf.MapSpec, entries []MapEntry) ([]ebpf.MapKV, error) {
	if err := checkFillable(spec); err != nil {
		return nil, err
	}
	if uint64(len(entries)) > uint64(spec.MaxEntries) {
		return nil, fmt.Errorf("%d entries, and the map holds %d; raise maxEntries", len(entries), spec.MaxEntries)
	}
	contents := make([]ebpf.MapKV, 0, len(entries))
	seen := make(map[string]int, len(entries))
	for i, entry := range entries {
		key, err := encodeKey(spec, entry.Key)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, at("key", err))
		}
		if first, ok := seen[canonical(spec, key)]; ok {
			return nil, fmt.Errorf("entries %d and %d have the same key", first, i)
		}
		seen[canonical(spec, key)] = i
		value, err := encodeValue(spec, entry.Value)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, at("value", err))
		}
		contents = append(contents, ebpf.MapKV{Key: key, Value: value})
	}
	return contents, nil
}

// checkFillable refuses maps whose entries a configuration cannot hold.
func checkFillable(spec *ebpf.MapSpec) error {
	if byIndex(spec.Type) && spec.KeySize != 4 || spec.Type == ebpf.LPMTrie && spec.KeySize < 5 {
		return fmt.Errorf("a map of type %v cannot have keys of %d bytes", spec.Type, spec.KeySize)
	}
	switch spec.Type {
	case ebpf.Hash, ebpf.LRUHash, ebpf.PerCPUHash, ebpf.LRUCPUHash,
		ebpf.Array, ebpf.PerCPUArray, ebpf.LPMTrie, ebpf.CPUMap, ebpf.DevMap, ebpf.DevMapHash:
		return checkMemory(spec)
	case ebpf.ProgramArray, ebpf.ArrayOfMaps, ebpf.HashOfMaps:
		return fmt.Errorf("a map of type %v holds programs or maps, which cannot be written as entries", spec.Type)
	case ebpf.XSKMap, ebpf.SockMap, ebpf.SockHash:
		return fmt.Errorf("a map of type %v holds sockets; whoever opens them fills it", spec.Type)
	default:
		return fmt.Errorf("a map of type %v has no entries that could be set", spec.Type)
	}
}

func encodeKey(spec *ebpf.MapSpec, value json.RawMessage) ([]byte, error) {
	key := make([]byte, spec.KeySize)
	if err := checkGiven(value); err != nil {
		return nil, err
	}
	switch {
	case byIndex(spec.Type):
		return key, encodeIndex(key, spec, value)
	case spec.Type == ebpf.LPMTrie:
		return key, encodeLPMKey(key, spec, value)
	default:
		return key, encodeTyped(key, spec.Key, value)
	}
}

// byIndex reports whether a map's keys are numbers from 0 to its size.
func byIndex(t ebpf.MapType) bool {
	return t == ebpf.Array || t == ebpf.PerCPUArray || t == ebpf.CPUMap || t == ebpf.DevMap
}

// u32 is the type of numbers whose type the object does not give.
var u32 btf.Type = &btf.Int{Name: "__u32", Size: 4}

// encodeIndex takes the key's type where there is one, which may be an enum.
func encodeIndex(key []byte, spec *ebpf.MapSpec, value json.RawMessage) error {
	t := spec.Key
	if t == nil {
		t = u32
	}
	if err := encode(key, t, value); err != nil {
		return err
	}
	if index := binary.NativeEndian.Uint32(key); index >= spec.MaxEntries {
		return fmt.Errorf("index %d; the map's %d entries are counted from 0", index, spec.MaxEntries)
	}
	return nil
}

// encodeLPMKey takes a prefix where the key is a length and an address. Otherwise,
// and for a key given as an object, the key's members are set one by one.
func encodeLPMKey(key []byte, spec *ebpf.MapSpec, value json.RawMessage) error {
	if t, ok := btf.As[*btf.Struct](spec.Key); ok && isString(value) && isLengthAndAddress(t) && t.Size == spec.KeySize {
		prefix, err := unquote(value)
		if err != nil {
			return err
		}
		return encodePrefix(key, prefix)
	}
	if err := encodeTyped(key, spec.Key, value); err != nil {
		return err
	}
	bits := (spec.KeySize - 4) * 8
	if length := binary.NativeEndian.Uint32(key); length > bits {
		return fmt.Errorf("a prefix length of %d; the key has %d bits", length, bits)
	}
	return nil
}

// canonical returns what tells keys apart in the map: of an LPM key, the bits past
// the prefix length do not.
func canonical(spec *ebpf.MapSpec, key []byte) string {
	if spec.Type != ebpf.LPMTrie {
		return string(key)
	}
	key = slices.Clone(key)
	length := int(binary.NativeEndian.Uint32(key))
	for i, data := 0, key[4:]; i < len(data); i++ {
		kept := min(max(length-8*i, 0), 8)
		data[i] &= ^byte(0xff >> kept)
	}
	return string(key)
}

func encodeValue(spec *ebpf.MapSpec, value json.RawMessage) (any, error) {
	if err := checkGiven(value); err != nil {
		return nil, err
	}
	if r, ok := redirects[spec.Type]; ok {
		return r.encode(spec, value)
	}
	encoded := make([]byte, spec.ValueSize)
	if err := encodeTyped(encoded, spec.Value, value); err != nil {
		return nil, err
	}
	if !perCPU(spec.Type) {
		return encoded, nil
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, err
	}
	return slices.Repeat([][]byte{encoded}, cpus), nil
}

// encodeTyped is encode for a type that the object may have left out.
func encodeTyped(dst []byte, t btf.Type, value json.RawMessage) error {
	if t == nil {
		return errors.New("the object does not say its type; declare the map with __type(key, …) and __type(value, …)")
	}
	return encode(dst, t, value)
}

func checkGiven(value json.RawMessage) error {
	switch {
	case len(value) == 0:
		return errors.New("it is missing")
	case !json.Valid(value):
		return fmt.Errorf("%q is not JSON", value)
	}
	return nil
}

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
		return bpfspec.EntryValue(entry, 0)[:spec.ValueSize], nil
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
