// SPDX-License-Identifier: Apache-2.0

// Package chain holds the vocabulary and the rules of a chain of XDP programs:
// verdicts, proceedOn, priorities, names, sides, and the order in which members
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
// A [Program] is what somebody asked for and may leave priority and proceedOn
// open; a [Member] is settled. The precedence between the two (entry, catalog,
// the object's own run config, default) is applied by [Program.Settle] alone.
package chain
