// SPDX-License-Identifier: Apache-2.0

package object

import "errors"

// ErrUnusable is wrapped by every error that is about an object or about values that
// do not fit it.
var ErrUnusable = errors.New("object unusable")

// unusable marks err with ErrUnusable and leaves its message alone, which already
// says what is wrong with which object.
type unusable struct{ error }

func (e unusable) Is(target error) bool { return target == ErrUnusable }

func (e unusable) Unwrap() error { return e.error }

// Unusable returns err, which names the object, such that it satisfies
// errors.Is(err, [ErrUnusable]): for those who find an object unusable before there is
// an [Object].
func Unusable(err error) error { return unusable{err} }
