// SPDX-License-Identifier: Apache-2.0

package catalog

import "errors"

var (
	// ErrUnknown is wrapped by every error about a name that no entry has.
	ErrUnknown = errors.New("no such program in the catalog")

	// ErrBroken is wrapped by every error about a catalog folder or an entry that cannot be
	// used, because a file that it comes from, or may come from, is at fault.
	ErrBroken = errors.New("the catalog is broken")
)
