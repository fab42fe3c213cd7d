// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// The pauses between two tries for a lock, the first and the longest. A change of
// a chain holds its lock for some ten milliseconds.
const (
	firstPause   = time.Millisecond
	longestPause = 20 * time.Millisecond
)

// folder is a folder on bpffs whose lock is held. Its zero value, and one that
// was given up, hold nothing. It is not for use by several goroutines at once.
type folder struct {
	path string
	dir  *os.File // nil: given up
}

// lockFolder locks the folder at path; create says whether to make it where it is
// missing, otherwise that is an error that satisfies errors.Is(err,
// [fs.ErrNotExist]). Each time that it finds the lock taken it calls wait, and
// gives up when that returns an error, or when wait is nil; locked, filled in, is
// its error then.
//
// A process that dies in here leaves at most an empty folder; the kernel frees
// the lock.
func lockFolder(path string, create bool, locked LockedError, wait func() error) (folder, error) {
	for {
		dir, err := openFolder(path, create)
		if err != nil {
			return folder{}, err
		}
		for err = tryFlock(dir); errors.Is(err, unix.EWOULDBLOCK); err = tryFlock(dir) {
			if wait != nil {
				locked.Cause = wait()
			}
			if wait == nil || locked.Cause != nil {
				locked.HolderPID, locked.HolderName = holder(dir)
				dir.Close()
				return folder{}, &locked
			}
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

// tryFlock takes the lock on dir, or returns [unix.EWOULDBLOCK] where somebody
// else has it.
func tryFlock(dir *os.File) error { return flock(dir, unix.LOCK_EX|unix.LOCK_NB) }

func flock(f *os.File, how int) error {
	return ignoringEINTR(func() error { return unix.Flock(int(f.Fd()), how) })
}

func ignoringEINTR(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// until returns a wait for lockFolder that lasts as long as ctx allows, in pauses
// that grow.
func until(ctx context.Context) func() error {
	pause := firstPause
	return func() error {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			pause = min(2*pause, longestPause)
			return nil
		}
	}
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
func (f *folder) clear() error {
	names, err := listFolder(f.path)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(f.path, name)); err != nil {
			return err
		}
	}
	return nil
}
