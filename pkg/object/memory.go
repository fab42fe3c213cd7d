// SPDX-License-Identifier: Apache-2.0

package object

import (
	"fmt"

	"github.com/cilium/ebpf"
)

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
	entry := align8(spec.KeySize)
	value := align8(spec.ValueSize)
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
	switch t {
	case ebpf.PerCPUHash, ebpf.PerCPUArray, ebpf.LRUCPUHash, ebpf.PerCPUCGroupStorage:
		return true
	}
	return false
}
