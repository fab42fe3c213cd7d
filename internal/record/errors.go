// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"fmt"
)

var (
	// ErrBroken is wrapped by every [BrokenError].
	ErrBroken = errors.New("broken file")

	// ErrVersion is wrapped by the errors about a file that a later version of
	// this format wrote, such as before a downgrade. The file stays where it is.
	ErrVersion = errors.New("file of a later version")

	// ErrNotHeld is wrapped by the errors about a change to a record without its
	// chain's lock.
	ErrNotHeld = errors.New("the chain's lock is not held")
)

// BrokenError says that a file did not parse and where it was put. It satisfies
// errors.Is for [ErrBroken]. The file is not at Path any more, so the next to look
// finds nothing there.
type BrokenError struct {
	// Path is where the file was.
	Path string
	// SetAside is where it is now; empty where it could not be moved, then
	// Err says why.
	SetAside string
	// Err says what is wrong with it.
	Err error
}

// Error names both places and what is wrong with the file.
func (e *BrokenError) Error() string {
	if e.SetAside == "" {
		return fmt.Sprintf("%s is broken and could not be set aside: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("%s is broken and was set aside as %s: %v", e.Path, e.SetAside, e.Err)
}

// Unwrap returns [ErrBroken] and what is wrong with the file.
func (e *BrokenError) Unwrap() []error { return []error{ErrBroken, e.Err} }
