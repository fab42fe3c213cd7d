// SPDX-License-Identifier: Apache-2.0

// Package load is what the dispatchers do alike when they bring members into the
// kernel: make their maps and fill them, second stages included, tell whether all take frags, and turn the kernel's errors
// into those of package dispatcher.
//
// # Invariants
//
// Nothing here changes a member. What is made belongs to the [dispatcher.Built] that
// is passed in, also when an error is returned.
package load
