// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// wireProgInfo is struct bpf_prog_info of linux/bpf.h up to gpl_compatible, the first bit
// of Flags. The kernel fills in as much as there is room for.
type wireProgInfo struct {
	_     [84]byte
	Flags uint32
}

// wireInfoByFD is the part of union bpf_attr of linux/bpf.h for BPF_OBJ_GET_INFO_BY_FD.
type wireInfoByFD struct {
	FD   uint32
	Len  uint32
	Info uint64 // address
}

// gplCompatible asks the kernel whether a program's licence lets it call helpers that are
// for the GPL alone. ebpf.ProgramInfo has all the kernel tells but this.
func gplCompatible(p *ebpf.Program) (bool, error) {
	info := new(wireProgInfo)
	var held runtime.Pinner
	held.Pin(info)
	defer held.Unpin()
	attr := wireInfoByFD{FD: uint32(p.FD()), Len: uint32(unsafe.Sizeof(*info)), Info: uint64(uintptr(unsafe.Pointer(info)))}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_OBJ_GET_INFO_BY_FD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(p)
	if errno != 0 {
		return false, fmt.Errorf("bpf(BPF_OBJ_GET_INFO_BY_FD): %w", errno)
	}
	return info.Flags&1 != 0, nil
}
