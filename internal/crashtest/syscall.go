// SPDX-License-Identifier: Apache-2.0

package crashtest

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ptraceGetSyscallInfo is of linux/ptrace.h.
const ptraceGetSyscallInfo = 0x420e

// syscallInfo is struct ptrace_syscall_info of linux/ptrace.h, as far as the first
// two fields of its member seccomp.
type syscallInfo struct {
	op                 uint8
	_                  [3]uint8
	arch               uint32
	instructionPointer uint64
	stackPointer       uint64
	nr                 uint64
	args               [6]uint64
}

// called returns the system call at which the filter has stopped the thread, or
// false where the thread is being killed: what comes next tells.
func called(thread int) (*syscallInfo, bool, error) {
	var info syscallInfo
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, ptraceGetSyscallInfo, uintptr(thread),
		unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	switch errno {
	case 0:
		return &info, true, nil
	case unix.ESRCH:
		return nil, false, nil
	}
	return nil, false, errno
}

// changing are the system calls that change files, BPF objects or network
// interfaces, or may do so: each tells the name of the change by the given process,
// or nothing if it is none.
var changing = map[uint64]func(pid int, c *syscallInfo) string{
	unix.SYS_MKDIRAT:   named("mkdirat"),
	unix.SYS_UNLINKAT:  named("unlinkat"),
	unix.SYS_RENAMEAT:  named("renameat"),
	unix.SYS_RENAMEAT2: named("renameat"),
	unix.SYS_LINKAT:    named("linkat"),
	unix.SYS_FCHMOD:    named("fchmod"),
	unix.SYS_FCHMODAT:  named("fchmod"),
	unix.SYS_FLOCK:     named("flock"),
	unix.SYS_MOUNT:     named("mount"),
	unix.SYS_WRITE: func(pid int, c *syscallInfo) string {
		return only(regular(pid, c.args[0]), "write")
	},
	unix.SYS_OPENAT: func(_ int, c *syscallInfo) string {
		return only(c.args[2]&unix.O_CREAT != 0, "openat with O_CREAT")
	},
	unix.SYS_SENDTO: netlinkChange,
	unix.SYS_BPF:    func(_ int, c *syscallInfo) string { return bpfChanges[c.args[0]] },
}

func named(name string) func(int, *syscallInfo) string {
	return func(int, *syscallInfo) string { return name }
}

func only(changes bool, name string) string {
	if changes {
		return name
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
