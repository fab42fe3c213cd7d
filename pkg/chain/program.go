// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"encoding/binary"
	"slices"
)

// gplLicenses is the list of license_is_gpl_compatible in the kernel's
// include/linux/license.h, which compares byte by byte.
var gplLicenses = []string{
	"GPL",
	"GPL v2",
	"GPL and additional rights",
	"Dual BSD/GPL",
	"Dual MIT/GPL",
	"Dual MPL/GPL",
}

// GPLCompatible reports whether the kernel lets a program of this license call
// helpers that are GPL only.
func GPLCompatible(license string) bool { return slices.Contains(gplLicenses, license) }

// EntryProgram is the value of an entry of a devmap or cpumap that has a program: it runs
// on frames that a member redirects to the entry, where they come out. A program can be
// put into a map once it is loaded, so what a map is to hold says its name.
type EntryProgram struct {
	// Target is where the frames go: for a devmap the index of an interface, for a cpumap
	// the length of the queue to the CPU, in frames.
	Target uint32
	// Function is the program, of the same object as the member.
	Function string
}

// Value returns what is put into the map once the program is loaded, whose file descriptor
// fd is: a struct bpf_devmap_val, or a struct bpf_cpumap_val, of the kernel's linux/bpf.h.
func (s EntryProgram) Value(fd int) []byte {
	value := binary.NativeEndian.AppendUint32(nil, s.Target)
	return binary.NativeEndian.AppendUint32(value, uint32(fd))
}
