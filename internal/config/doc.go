// SPDX-License-Identifier: Apache-2.0

// Package config reads xdp-chain's entry in a network configuration list, for the
// plugin, which gets it on stdin, and for xdpctl, which finds it in a conflist.
//
// # Mechanism
//
// [Parse] decodes the entry along the fields of [Conf] by package strict and then judges the
// values: names, ranges, what does not go together. Nothing of the node is looked at:
// a configuration that is right may still name objects and programs that are not
// there.
//
// # Invariants
//
// Reading is strict. An unknown field, a field given twice or a wrong type is an
// error, for a misspelt policy must not become an open door. What CNI and the runtimes
// add to every plugin's configuration is taken and not judged, but for what we use.
//
// # Traps
//
// prevResult is kept as it came: what it has to be depends on the verb, which is the
// plugin's business.
//
// A list whose absence means something else than its being empty (namespaces.include)
// is nil where it is absent or null.
package config
