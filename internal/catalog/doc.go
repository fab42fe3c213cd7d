// SPDX-License-Identifier: Apache-2.0

// Package catalog knows the XDP programs that a chain can have by name alone, with
// no object given: where they come from, how they stand in a chain if nobody says
// otherwise, and what of them a pod may ask for by its annotation.
//
// # Entries
//
// An [Entry] is a set of defaults: a configuration's own priority, proceedOn,
// globals and function come before it, and it comes before what the object says of
// itself. The built-in entries are those of package bpf, embedded in the
// binary, so that they need no file on the node. A [Catalog] adds those of a folder's
// files, one entry a file, in YAML or JSON:
//
//	name: ratelimit
//	object: /opt/xdp/ratelimit.o
//	function: ratelimit
//	priority: 110
//	proceedOn: [pass]
//	globals: {pps: 1000}
//	settable: {pps: {min: 1, max: 100000}, mode: {values: [drop, count]}}
//	transmits: false
//
// An entry with an object takes the place of a built-in of its name; one without
// changes the defaults of the built-in, whose object stays.
//
// # Annotations
//
// A network's [Policy] says which entries the annotation [Annotation] of a pod may
// name, how many, and in which band of priorities. [Policy.Programs] makes programs
// of an annotation that keeps to it. The annotation is "ratelimit, flow-stats", or a list
// "[{name: ratelimit, priority: 120, globals: {pps: 5000}}]".
//
// # Invariants
//
// Names are exact. Every call returns an entry of its own, which the caller may change.
// The files of a catalog are under the same rule as objects: only root can have written
// them or put them there (package internal/files). Of another file nothing is taken but
// the names that it breaks.
//
// A file that is at fault breaks every name that it may have been meant for, and no
// other: what an administrator wanted to say about a program is not guessed at, least of
// all that a built-in would do. So does a name that stands in two files.
//
// A program that a pod asks for has Name, Priority, Globals and Band, and nothing else
// that its author could have chosen; its name is none of the network's programs, on
// either side. A global is written into the program as the [Setting] writes it that
// has judged it. Anything else is refused, as [config.ErrPolicy].
//
// Only [Open] reads files, and nothing here talks to the kernel.
//
// # Traps
//
// The priorities are meant for each other: count stands before acl, so that it
// counts what arrives rather than what acl lets through.
//
// A priority may yet come from the object, so [config.Program.Band] has to be checked
// once that is known. Only then it is known, too, whether a setting fits its variable
// ([Setting.Extremes]).
//
// A pod's author chooses the text of an annotation, and messages about it go to events
// and logs: what they quote is cut and in ASCII.
package catalog
