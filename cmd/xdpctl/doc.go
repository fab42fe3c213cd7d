// SPDX-License-Identifier: Apache-2.0

// Command xdpctl is the operator's command: it loads programs into the chains of a node,
// by hand and in any network namespace, takes them out again and replaces them; it shows
// which chains there are, which members run in which order, which member decided over how
// many packets, and which flows these were of; and it says what chain a pod would get.
// docs/xdpctl.md is its manual and documents its JSON output, which is stable.
//
// # Mechanism
//
// All that it knows and does is package node's, and each subcommand has a file here, but for those
// that load.go has, which take the same flags;
// package conflist reads networks' configurations, and package render makes tables.
// What only looks takes no locks and changes nothing.
//
// Data goes to stdout, as a table for people or as JSON or YAML, whose fields are the
// same; what could not be done or read goes to stderr, one sentence a fault with what to do
// about it. What could be read is shown in any case.
//
// # Exit status
//
//	0  it was done, or everything was shown
//	1  it could not be done, or something could not be read
//	2  it was called wrongly (flags, values, contents of files), or policy refuses it
//	3  something differs from what it should be, or is failing
//	4  there is no such member, chain, pod, interface or network namespace
//
// # Traps
//
// Interfaces are named by whoever may do so in their namespace, pods included: what is
// printed in tables has no control characters left. Only the width of a terminal cuts a
// table, so that scripts which read one get all of it.
package main
