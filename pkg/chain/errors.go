// SPDX-License-Identifier: Apache-2.0

package chain

import "errors"

var (
	// ErrInvalid is wrapped by every error about a value that is wrong in type,
	// range or name.
	ErrInvalid = errors.New("invalid value")

	// ErrTooManyMembers is wrapped by every error about a chain that has more
	// members than its dispatcher can call.
	ErrTooManyMembers = errors.New("too many members")
)
