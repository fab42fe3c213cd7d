// SPDX-License-Identifier: Apache-2.0

package object

import "errors"

// ErrStoreLocked is wrapped by errors about a [Store] whose lock was not got in time.
var ErrStoreLocked = errors.New("the store is locked")

// ErrUnusable is wrapped by every error that is about an object or about values that
// do not fit it. Of [Store], errors about content satisfy it; errors of the file
// system under it do not.
var ErrUnusable = errors.New("object unusable")

// unusable marks err with ErrUnusable and leaves its message alone, which already
// says what is wrong with which object.
type unusable struct{ error }

func (e unusable) Is(target error) bool { return target == ErrUnusable }

func (e unusable) Unwrap() error { return e.error }
