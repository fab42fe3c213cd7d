// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holder returns the process that holds a flock on f and its command, or zero
// values where /proc does not tell.
func holder(f *os.File) (pid int, name string) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return 0, ""
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0, ""
	}
	defer locks.Close()
	if pid = findFlock(locks, uint64(stat.Dev), stat.Ino); pid == 0 {
		return 0, ""
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return 0, "" // it has gone in the meantime
	}
	return pid, strings.TrimSuffix(string(comm), "\n")
}

// findFlock returns the process that, by the text of /proc/locks, holds a flock
// on an inode, or 0. Its lines are as lock_get_status of the kernel's fs/locks.c
// writes them:
//
//	4: FLOCK  ADVISORY  WRITE 2617 00:3f:81 0 EOF
//	4: -> FLOCK  ADVISORY  WRITE 2620 00:3f:81 0 EOF
//
// with major:minor of the file system's device in hexadecimal, two digits or
// more, and the inode in decimal. bpffs has no device of its own: its number is
// an anonymous one, of major 0, whose minor takes up to 20 bits. The second form
// is somebody who waits.
func findFlock(locks io.Reader, dev, inode uint64) int {
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(dev), unix.Minor(dev), inode)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1] != "FLOCK" || fields[5] != file {
			continue
		}
		if pid, err := strconv.Atoi(fields[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}
