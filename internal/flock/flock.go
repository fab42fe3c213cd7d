// SPDX-License-Identifier: Apache-2.0

// Package flock locks open files and folders by flock(2), and waits for a lock no longer
// than the caller wants to. The kernel cannot bound that time, so waiting is a poll with
// pauses that grow.
//
// A lock goes with the open file: it is given up when that is closed, and the kernel closes
// the files of a process that dies. Since a folder can be locked itself there need be no
// lock file, which somebody would have to remove.
package flock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Kind says with whom a lock is shared.
type Kind int

// The kinds of locks.
const (
	// Shared is for several holders at once, none of them an exclusive one.
	Shared Kind = unix.LOCK_SH
	// Exclusive is for one holder alone.
	Exclusive Kind = unix.LOCK_EX
)

// The pauses between two tries for a lock, the first and the longest. A change of a chain
// holds its lock for some ten milliseconds.
const (
	firstPause   = time.Millisecond
	longestPause = 20 * time.Millisecond
)

// TakenError says that somebody else holds a lock in a way that excludes the caller.
type TakenError struct {
	// Cause is what ended the wait, the cause of the context's end; nil where nobody waited.
	Cause error
}

// Error says that the lock is taken, and why the wait for it has ended.
func (e *TakenError) Error() string {
	if e.Cause == nil {
		return "somebody else has the lock"
	}
	return fmt.Sprintf("somebody else has the lock: %v", e.Cause)
}

// Unwrap returns the cause.
func (e *TakenError) Unwrap() error { return e.Cause }

// Try locks an open file or folder. Where somebody else has the lock the error is a
// [*TakenError], at once.
func Try(f *os.File, kind Kind) error {
	for {
		switch err := unix.Flock(int(f.Fd()), int(kind)|unix.LOCK_NB); {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return &TakenError{}
		default:
			return err
		}
	}
}

// Wait locks an open file or folder. While somebody else has the lock it tries again, as
// long as ctx allows, and then returns a [*TakenError].
func Wait(ctx context.Context, f *os.File, kind Kind) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := Try(f, kind)
		taken, ok := errors.AsType[*TakenError](err)
		if !ok {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			taken.Cause = context.Cause(ctx)
			return taken
		case <-timer.C:
		}
	}
}
