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
