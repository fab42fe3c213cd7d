// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// awaitGracePeriod returns when every packet that had entered an XDP program
// before the call has left it. XDP programs run under rcu_read_lock (or with
// bottom halves off, which counts as the same since Linux 5.0), and
// MEMBARRIER_CMD_GLOBAL is synchronize_rcu (kernel/sched/membarrier.c).
func awaitGracePeriod() error {
	const cmdGlobal = 1 // MEMBARRIER_CMD_GLOBAL, linux/membarrier.h
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, cmdGlobal, 0, 0); errno != 0 {
		return fmt.Errorf("wait for the kernel's grace period (membarrier): %w", errno)
	}
	return nil
}
