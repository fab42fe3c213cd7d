// SPDX-License-Identifier: Apache-2.0

// Package resolve makes members of programs that are wanted: it finds the object of each, by
// path or by catalog, settles its place in the chain, and encodes what is set for it. It reads
// files and does not talk to the kernel.
//
// # A member
//
// Here a member is a [Member]: what the record will say of it, and its program, ready for a
// dispatcher. [Resolver.Sides] makes them of an [Attachment], [Rebuild] of a record and the
// store, and [Replacement.Member] of a member that is to run another program.
//
// # What pods ask for
//
// Programs with a band come from a pod's annotation. Package catalog has judged what it
// says; what takes the object is judged here, with the same error, before anything is
// touched: the priority that the program gets, whether what pods may set fits its
// variables, and that it does not stand where packets could get past the network's own
// programs ([CheckOrder], again with all members of the chain once that is locked).
package resolve
