// SPDX-License-Identifier: Apache-2.0

// Package catalog knows the XDP programs that a chain can have by name alone, with
// no object given: where their content comes from and how they stand in a chain
// if nobody says otherwise.
//
// # Mechanism
//
// An [Entry] is a set of defaults: a configuration's own priority, proceedOn,
// globals and function come before it, and it comes before what the object says of
// itself. The built-in entries are those of package bpf, embedded in the
// binary, so that they need no file on the node.
//
// # Invariants
//
// The package is pure: it touches neither the kernel nor the file system. Names
// are exact. Every call returns an entry of its own, which the caller may change.
//
// # Traps
//
// The priorities are meant for each other: count stands before acl, so that it
// counts what arrives rather than what acl lets through.
package catalog
