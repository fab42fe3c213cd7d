// SPDX-License-Identifier: Apache-2.0

package object

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

type lockKind int

const (
	shared    lockKind = unix.LOCK_SH
	exclusive lockKind = unix.LOCK_EX
)

const (
	// lockPatience is how long to wait for a store's lock. Who holds it writes a
	// few small files, so longer means that it hangs.
	lockPatience = 5 * time.Second
	lockInterval = 5 * time.Millisecond
)

// locked calls f under a lock on the layout's folder itself, so that there is no
// lock file to leave behind. The kernel frees the lock of a process that dies.
func (s Store) locked(kind lockKind, f func() error) error {
	dir, err := os.Open(s.Dir)
	if err != nil {
		return err
	}
	defer dir.Close() // and with it the lock
	for start := time.Now(); ; time.Sleep(lockInterval) {
		err := unix.Flock(int(dir.Fd()), int(kind)|unix.LOCK_NB)
		switch {
		case err == nil:
			return f()
		case errors.Is(err, unix.EINTR):
		case !errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("locking %s: %w", s.Dir, err)
		case time.Since(start) > lockPatience:
			return fmt.Errorf("%w by another process for more than %v; lsof %s tells who it is", ErrStoreLocked, lockPatience, s.Dir)
		}
	}
}
