// SPDX-License-Identifier: Apache-2.0

package chain

import "errors"

var (
	// ErrInvalid is behind every error about a value that is wrong in type,
	// range or name.
	ErrInvalid = errors.New("invalid value")

	// ErrTooManyMembers is behind every error about a chain that has more
	// members than its dispatcher can call.
	ErrTooManyMembers = errors.New("too many members")

	// ErrPolicy is behind every error about something that a pod asked for and that
	// the network's policy does not allow.
	ErrPolicy = errors.New("refused by policy")
)
