// SPDX-License-Identifier: Apache-2.0

// Package strict reads documents that people write (a network configuration, a
// catalog entry, a pod's annotation) and says of everything that is wrong with
// them where it stands and what it should be.
//
// # Mechanism
//
// [JSON] decodes with sigs.k8s.io/json: names are exact, unknown fields and fields
// that are there twice are faults. Only when that has met one, the document is gone
// through once more along the Go type, to find all of them with their paths:
// encoding/json reports positions without list indexes and map keys, and none at
// all for types that decode themselves. Such a type may return [Faults] from its
// UnmarshalJSON; they are then told with their full paths.
//
// [YAML] makes JSON of a YAML text, for [JSON] to decode, and remembers on which
// line each value stands.
//
// # Invariants
//
// YAML is taken as far as JSON goes: what another parser might read differently
// (aliases, merge keys, tags, octal numbers, keys that are no strings) is a fault.
// Numbers keep their digits.
//
// # Traps
//
// Texts may come from people who may not be trusted: paths and what is shown of
// values are cut, and what is not ASCII in them is escaped.
//
// The tag "!", by which YAML makes a string of what looks like something else, leaves no
// trace behind the parser and is taken as if it were not there: "! 12" is the number 12.
package strict
