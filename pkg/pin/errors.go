// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"errors"
	"fmt"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

var (
	// ErrNoBPFFS is behind the error about a root that is no bpffs and cannot be
	// made one.
	ErrNoBPFFS = errors.New("no bpffs")

	// ErrLocked is behind every [LockedError].
	ErrLocked = errors.New("locked")

	// errReleased is behind the errors about a lock that is used after it was
	// given up.
	errReleased = errors.New("its lock has been given up")
)

// LockedError says that somebody else held a lock for longer than the caller
// wanted to wait. It satisfies errors.Is for [ErrLocked] and for what ended the
// wait, if anything did.
type LockedError struct {
	// Key is the locked chain; the zero Key where something else is locked.
	Key chain.Key
	// Network is the network whose maps are locked, otherwise empty.
	Network string
	// Root is the folder that is locked to mount a bpffs on it, otherwise empty.
	Root string
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
	what := "chain " + e.Key.String()
	switch {
	case e.Network != "":
		what = fmt.Sprintf("maps of network %q", e.Network)
	case e.Root != "":
		what = fmt.Sprintf("no bpffs at %s, and the folder to mount it on", e.Root)
	}
	holder := "another process"
	if e.HolderPID != 0 {
		holder = fmt.Sprintf("process %d (%s)", e.HolderPID, e.HolderName)
	}
	if e.Cause == nil {
		return fmt.Sprintf("%s: locked by %s", what, holder)
	}
	return fmt.Sprintf("%s: locked by %s, gave up waiting: %v; try again, or look at what that process does", what, holder, e.Cause)
}

// Unwrap returns [ErrLocked] and the cause.
func (e *LockedError) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrLocked}
	}
	return []error{ErrLocked, e.Cause}
}
