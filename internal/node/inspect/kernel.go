// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"fmt"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// KernelState is a loaded program as the kernel tells of it. What an older kernel does
// not tell is left out.
type KernelState struct {
	ProgramID uint32 `json:"programID"`
	Name      string `json:"name"`
	// Type is "xdp", or "extension" for a member of libxdp's dispatcher.
	Type string `json:"type"`
	// LoadedAt is when it was loaded, to the second: before it came to its interface.
	LoadedAt time.Time `json:"loadedAt,omitzero"`
	// Tag is a hash of its instructions, in hexadecimal.
	Tag           string `json:"tag"`
	GPLCompatible bool   `json:"gplCompatible"`
	BTFID         uint32 `json:"btfID,omitempty"`
	// BytesTranslated are those of its instructions as the kernel has rewritten them,
	// and BytesJited those of the machine code made of them, none without a JIT.
	BytesTranslated int    `json:"bytesTranslated,omitempty"`
	BytesJited      uint32 `json:"bytesJited,omitempty"`
	// BytesMemlock is the memory that the program takes, without its maps.
	BytesMemlock uint64 `json:"bytesMemlock,omitempty"`
	// VerifiedInstructions is how many the verifier went through, each once for every way
	// that leads over it (since Linux 5.16).
	VerifiedInstructions uint32 `json:"verifiedInstructions,omitempty"`
}

// kernelState reads about a program. The error for an id that no program has satisfies
// errors.Is(err, [fs.ErrNotExist]).
func kernelState(id uint32) (*KernelState, error) {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return nil, fmt.Errorf("open program %d: %w", id, err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return nil, fmt.Errorf("read about program %d: %w", id, err)
	}
	s := &KernelState{ProgramID: id, Name: info.Name, Type: strings.ToLower(info.Type.String()), Tag: info.Tag}
	if s.GPLCompatible, err = gplCompatible(p); err != nil {
		return nil, fmt.Errorf("read about program %d: %w", id, err)
	}
	if since, ok := info.LoadTime(); ok {
		boot, err := bootTime()
		if err != nil {
			return nil, err
		}
		s.LoadedAt = boot.Add(since).Round(time.Second)
	}
	btf, _ := info.BTFID()
	s.BTFID = uint32(btf)
	// What is not told is 0, and left out.
	s.BytesTranslated, _ = info.TranslatedSize()
	s.BytesJited, _ = info.JitedSize()
	s.BytesMemlock, _ = info.Memlock()
	s.VerifiedInstructions, _ = info.VerifiedInstructions()
	return s, nil
}

// bootTime returns when CLOCK_BOOTTIME was 0, by what the wall clock says now.
func bootTime() (time.Time, error) {
	var since unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &since); err != nil {
		return time.Time{}, fmt.Errorf("read the time since boot: %w", err)
	}
	return time.Now().UTC().Add(-time.Duration(since.Nano())), nil
}

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
