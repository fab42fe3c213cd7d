// SPDX-License-Identifier: Apache-2.0

package crashtest

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of linux/ptrace.h.
const (
	ptraceGetSyscallInfo   = 0x420e
	ptraceSyscallInfoEntry = 1
)

// syscallInfo is struct ptrace_syscall_info of linux/ptrace.h, as far as its
// member entry.
type syscallInfo struct {
	op                 uint8
	_                  [3]uint8
	arch               uint32
	instructionPointer uint64
	stackPointer       uint64
	nr                 uint64
	args               [6]uint64
}

// entered returns the system call at whose entry the thread has stopped, or the
// zero value at a call's exit.
func entered(thread int) (syscallInfo, error) {
	var info syscallInfo
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, ptraceGetSyscallInfo, uintptr(thread),
		unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno == unix.ESRCH { // it is being killed: what comes next tells
		return syscallInfo{}, nil
	}
	if errno != 0 {
		return syscallInfo{}, errno
	}
	if info.op != ptraceSyscallInfoEntry {
		return syscallInfo{}, nil
	}
	return info, nil
}

// begins tells whether this is how a body begins.
func (c *syscallInfo) begins() bool { return c.nr == unix.SYS_PRCTL && c.args[0] == beginning }

// changes returns the name of a call, by the given process, that changes files,
// BPF objects or network interfaces, empty for every other one.
func (c *syscallInfo) changes(pid int) string {
	if c.op != ptraceSyscallInfoEntry {
		return ""
	}
	switch c.nr {
	case unix.SYS_MKDIRAT:
		return "mkdirat"
	case unix.SYS_UNLINKAT:
		return "unlinkat"
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		return "renameat"
	case unix.SYS_LINKAT:
		return "linkat"
	case unix.SYS_FCHMOD, unix.SYS_FCHMODAT:
		return "fchmod"
	case unix.SYS_FLOCK:
		return "flock"
	case unix.SYS_MOUNT:
		return "mount"
	case unix.SYS_WRITE:
		if regular(pid, c.args[0]) {
			return "write"
		}
	case unix.SYS_OPENAT:
		if c.args[2]&unix.O_CREAT != 0 {
			return "openat with O_CREAT"
		}
	case unix.SYS_SENDTO:
		if setsLink(pid, c) {
			return "sendto of RTM_SETLINK"
		}
	case unix.SYS_BPF:
		return bpfChanges[c.args[0]]
	}
	return ""
}

// bpfChanges are the commands of bpf(2) that change what others see. Maps are
// made and filled before anybody sees them.
var bpfChanges = map[uint64]string{
	unix.BPF_OBJ_PIN:     "bpf(BPF_OBJ_PIN)",
	unix.BPF_LINK_CREATE: "bpf(BPF_LINK_CREATE)",
	unix.BPF_LINK_UPDATE: "bpf(BPF_LINK_UPDATE)",
	unix.BPF_LINK_DETACH: "bpf(BPF_LINK_DETACH)",
}

// regular tells whether a descriptor of the process is of a regular file. What the
// Go runtime writes to wake its threads up is not.
func regular(pid int, fd uint64) bool {
	info, err := os.Stat(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
	return err == nil && info.Mode().IsRegular()
}
