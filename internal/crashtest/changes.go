// SPDX-License-Identifier: Apache-2.0

package crashtest

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stopAtChanges has the kernel stop any thread of this process, for its tracer, at
// the system calls that may be changes. Stopping at all of them instead would make
// the Go runtime wait at thousands. A process without a tracer would have these calls
// fail with ENOSYS (seccomp(2), SECCOMP_RET_TRACE).
func stopAtChanges() error {
	filter := changesFilter()
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	switch {
	case errno != 0:
		return os.NewSyscallError("seccomp", errno)
	case thread != 0:
		return fmt.Errorf("thread %d has a filter of its own", thread)
	}
	return nil
}

// changesFilter stops at the calls of [changing] and lets all others go on. The
// number of the call is the first field of struct seccomp_data (linux/seccomp.h).
func changesFilter() []unix.SockFilter {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	for nr := range changing {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(nr), Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_TRACE})
	}
	return append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
}

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

// netlinkChange names the change that a sendto(2) of the process makes to an interface;
// nothing if it makes none. What it is the message's header says (struct nlmsghdr of
// linux/netlink.h) and, for generic netlink, what follows it (struct genlmsghdr).
func netlinkChange(pid int, c *syscallInfo) string {
	header := make([]byte, unix.SizeofNlMsghdr+1)
	from := []unix.RemoteIovec{{Base: uintptr(c.args[1]), Len: len(header)}}
	into := []unix.Iovec{{Base: &header[0]}}
	into[0].SetLen(len(header))
	if n, err := unix.ProcessVMReadv(pid, into, from, 0); err != nil || n < len(header) {
		return ""
	}
	kind, command := binary.NativeEndian.Uint16(header[4:]), header[unix.SizeofNlMsghdr]
	switch {
	case kind == unix.RTM_SETLINK:
		return only(isNetlink(pid, int(c.args[0]), unix.NETLINK_ROUTE), "sendto of RTM_SETLINK")
	case kind > unix.GENL_ID_CTRL && command == unix.ETHTOOL_MSG_FEATURES_SET:
		return only(isNetlink(pid, int(c.args[0]), unix.NETLINK_GENERIC), "sendto of ETHTOOL_MSG_FEATURES_SET")
	}
	return ""
}

// isNetlink tells whether a descriptor of the process is a netlink socket of that
// protocol.
func isNetlink(pid, fd, protocol int) bool {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(process)
	socket, err := unix.PidfdGetfd(process, fd, 0)
	if err != nil {
		return false
	}
	defer unix.Close(socket)
	domain, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_NETLINK {
		return false
	}
	got, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && got == protocol
}
