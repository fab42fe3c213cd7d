// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"errors"
	"fmt"
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
