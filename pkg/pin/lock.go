// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/errs"
	"github.com/xdp-chain/xdp-chain/internal/files"
	"github.com/xdp-chain/xdp-chain/internal/flock"
)

var (
	// ErrNoBPFFS is wrapped by the error about a root that is no bpffs and cannot be
	// made one.
	ErrNoBPFFS = errors.New("no bpffs")

	// ErrLocked is wrapped by every [LockedError].
	ErrLocked = errors.New("locked")

	// errReleased is wrapped by the errors about a lock that is used after it was
	// given up.
	errReleased = errors.New("its lock has been given up")
)

// LockedError says that somebody else held a lock for longer than the caller
// wanted to wait. It satisfies errors.Is for [ErrLocked] and for what ended the
// wait, if anything did.
type LockedError struct {
	// What is locked, in words: "chain 4097-3", `maps of network "podnet"`,
	// "libxdp's folder /sys/fs/bpf/xdp".
	What string
	// HolderPID is the process that has the lock, as the kernel numbers it in
	// the pid namespace of /proc. It is 0 where the kernel does not tell: the
	// holder has gone in the meantime, or is in a pid namespace we do not see.
	HolderPID int
	// HolderName is the holder's command, at most 15 bytes (comm of proc(5)),
	// empty where the kernel does not tell.
	HolderName string
	// Cause is what ended the wait, such as [context.DeadlineExceeded]; nil
	// where there was none.
	Cause error
}

// lockedError returns the error about a lock on dir that is taken.
func lockedError(what string, dir *os.File, taken *flock.TakenError) *LockedError {
	e := &LockedError{What: what, Cause: taken.Cause}
	e.HolderPID, e.HolderName = holder(dir)
	return e
}

// Error says what is locked, by whom, and what to do.
func (e *LockedError) Error() string {
	holder := "another process"
	if e.HolderPID != 0 {
		holder = fmt.Sprintf("process %d (%s)", e.HolderPID, e.HolderName)
	}
	if e.Cause == nil {
		return fmt.Sprintf("%s: locked by %s", e.What, holder)
	}
	return fmt.Sprintf("%s: locked by %s, gave up waiting: %v; try again, or look at what that process does", e.What, holder, e.Cause)
}

// Unwrap returns [ErrLocked] and the cause.
func (e *LockedError) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrLocked}
	}
	return []error{ErrLocked, e.Cause}
}

// folder is a folder on bpffs whose lock is held. Its zero value, and one that
// was given up, hold nothing. It is not for use by several goroutines at once.
type folder struct {
	path string
	dir  *os.File // nil: given up
}

// locker takes the lock on an open folder, or returns a [*flock.TakenError].
type locker func(dir *os.File) error

// tryLock is the locker that does not wait.
func tryLock(dir *os.File) error { return flock.Try(dir, flock.Exclusive) }

// waitUntil returns a locker that waits as long as ctx allows.
func waitUntil(ctx context.Context) locker {
	return func(dir *os.File) error { return flock.Wait(ctx, dir, flock.Exclusive) }
}

// lockFolder locks the folder at path; create says whether to make it where it is
// missing, otherwise that is an error that satisfies errors.Is(err,
// [fs.ErrNotExist]). Where the lock is taken it returns a [*LockedError] about what.
//
// A process that dies in here leaves at most an empty folder; the kernel frees
// the lock.
func lockFolder(path string, create bool, what string, lock locker) (folder, error) {
	for {
		dir, err := openFolder(path, create)
		if err != nil {
			return folder{}, err
		}
		err = lock(dir)
		if taken, ok := errors.AsType[*flock.TakenError](err); ok {
			locked := lockedError(what, dir, taken)
			dir.Close()
			return folder{}, locked
		}
		if err == nil {
			var current bool
			if current, err = leadsTo(path, dir); current {
				return folder{path: path, dir: dir}, nil
			}
		}
		dir.Close()
		if err != nil {
			return folder{}, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}

// openFolder opens a folder, and makes it first if it is to.
func openFolder(path string, create bool) (*os.File, error) {
	for {
		if create {
			if err := os.Mkdir(path, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, fmt.Errorf("make folder for pins: %w", err)
			}
		}
		// Through a symbolic link too, as libxdp does: iproute2's own loader makes
		// <bpffs>/xdp one, to the folder tc.
		dir, err := os.OpenFile(path, unix.O_DIRECTORY, 0)
		if create && errors.Is(err, fs.ErrNotExist) && !isSymlink(path) {
			continue // its holder has removed it since
		}
		return dir, err
	}
}

// isSymlink tells whether path is a symbolic link, one that leads nowhere included.
func isSymlink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// leadsTo tells whether path still is the folder that dir has open. It is not
// when a holder has removed it, whether or not somebody made a new one.
func leadsTo(path string, dir *os.File) (bool, error) {
	have, err := dir.Stat()
	if err != nil {
		return false, err
	}
	now, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return os.SameFile(have, now), nil
}

// held returns an error once the lock was given up.
func (f *folder) held() error {
	if f.dir == nil {
		return fmt.Errorf("folder %s: %w", f.path, errReleased)
	}
	return nil
}

// Unlock gives the lock up, and removes the folder when nothing is in it, so that
// somebody who locked but pinned nothing leaves nothing. A second Unlock does
// nothing.
func (f *folder) Unlock() error {
	if f.dir == nil {
		return nil
	}
	// Under the lock, so nobody is just about to pin something. Whoever waits
	// finds the folder gone and makes a new one.
	_ = unix.Rmdir(f.path)
	return f.release()
}

// release gives the lock up and leaves the folder.
func (f *folder) release() error {
	err := f.dir.Close()
	f.dir = nil
	return err
}

// clear removes all pins in the folder. The folder stays until Unlock, which is
// the only one to remove it: once it is gone somebody else may have made it anew.
func (f *folder) clear() error { return removeEntries(f.path, "") }

// removeEntries removes what has one of the prefixes in a folder, and all that is in there.
func removeEntries(folder string, prefixes ...string) error {
	paths, err := entriesWith(folder, prefixes...)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// entriesWith returns the paths of what has one of the prefixes in a folder. No folder is
// an empty one.
func entriesWith(folder string, prefixes ...string) ([]string, error) {
	names, err := files.Names(folder)
	var paths []string
	for _, name := range names {
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			paths = append(paths, filepath.Join(folder, name))
		}
	}
	return paths, err
}

// busy tries for a moment to share the lock that its holder has for itself. Whoever
// waits for the lock in that moment waits a millisecond longer, and who does not wait
// takes the folder for one that somebody works on, which is true.
func busy(path string) (bool, error) {
	dir, err := os.OpenFile(path, unix.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer dir.Close() // and with it the lock
	err = flock.Try(dir, flock.Shared)
	if errors.As(err, new(*flock.TakenError)) {
		return true, nil
	}
	return false, errs.Wrapf(err, "look whether %s is locked", path)
}

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
