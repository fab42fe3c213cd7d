// SPDX-License-Identifier: Apache-2.0

package bpfspec

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Redirects reports whether a map is one whose entries can have entry programs: a devmap or
// a cpumap.
func Redirects(t ebpf.MapType) bool {
	return t == ebpf.DevMap || t == ebpf.DevMapHash || t == ebpf.CPUMap
}

// EntryValue returns what is put into a devmap or cpumap for an entry whose program is
// loaded and has the file descriptor fd, or 0 for none: a struct bpf_devmap_val, or a struct
// bpf_cpumap_val, of the kernel's linux/bpf.h, 8 bytes in the machine's order.
func EntryValue(e chain.EntryProgram, fd int) []byte {
	value := binary.NativeEndian.AppendUint32(nil, e.Target)
	return binary.NativeEndian.AppendUint32(value, uint32(fd))
}

// ErrMapRefused says that the kernel refused to make a map, or to fill it, as its spec asks
// for it: type, sizes, flags or entries.
var ErrMapRefused = errors.New("the kernel refuses the type, sizes, flags or entries of a map")

// RefusedMap wraps an error of making or filling a map in [ErrMapRefused] where the kernel
// refuses what is asked for (EINVAL, E2BIG). Other errors it returns as they are, such as
// those about a kernel that lacks a feature or memory.
func RefusedMap(err error) error {
	refused := errors.Is(err, unix.EINVAL) || errors.Is(err, unix.E2BIG)
	if !refused || errors.Is(err, ebpf.ErrNotSupported) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrMapRefused, err)
}
