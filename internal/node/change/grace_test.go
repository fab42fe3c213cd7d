// SPDX-License-Identifier: Apache-2.0

package change

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// On nodes with nohz_full CPUs membarrier is refused with EINVAL, and a chain must
// change there all the same. A filter on this thread's system calls makes it so.
func TestGracePeriodWithoutMembarrier(t *testing.T) {
	testenv.NoLeaks(t)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the filtered thread ends with the goroutine
		if err := refuseMembarrier(); err != nil {
			done <- err
			return
		}
		done <- awaitGracePeriod()
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// refuseMembarrier makes membarrier fail with EINVAL on the calling thread.
func refuseMembarrier() error {
	// struct seccomp_data begins with the number of the system call.
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_MEMBARRIER, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EINVAL)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, 0, 0, 0); errno != unix.EINVAL {
		return fmt.Errorf("membarrier is not refused: %v", errno)
	}
	return nil
}
