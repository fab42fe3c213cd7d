// SPDX-License-Identifier: Apache-2.0

// Package chain holds the vocabulary and the rules of a chain of XDP programs:
// verdicts, proceedOn, priorities, names, and the order in which members
// run. It is pure: it touches neither the kernel nor the file system, and all that
// it imports of this project is how an enumeration gets its text, so that every
// other package can speak its words.
//
// # Meaning of a chain
//
// Members run in the order of [Compare]: priority ascending, then name bytewise.
// After member i returns v: if v is in its proceedOn, member i+1 runs; past the
// last member the chain's verdict is XDP_PASS. Otherwise v is the chain's
// verdict at once. A value outside 0..31 is never in a proceedOn, so it is final
// and goes to the kernel as it is. [Decide] is this rule as a function; the
// dispatchers are tested against it.
//
// # Traps
//
// A [Member] has a priority and a proceedOn. What somebody asked for may leave them open:
// the sources of defaults (the configuration's entry, the catalog, the object's own run
// config) are each a [RunConfig], and whoever makes a member of them goes through those in
// that order.
package chain
