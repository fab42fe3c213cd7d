// SPDX-License-Identifier: Apache-2.0

// Package trusted reads files that decide which programs run in the kernel: objects and
// catalog entries.
//
// # Invariants
//
// Nobody but root can have written what is read or put it there: the file and every
// folder above it belong to root and are writable by no group and no others (a folder may
// be, if it is sticky, as /tmp is). Nothing but a regular file of bounded size is read,
// and opening waits for nobody.
//
// # Traps
//
// Symbolic links are followed first, since ConfigMap mounts consist of links, and the
// rule is about what they lead to. Where the link itself lies is for whoever lists the
// folder to judge ([ReadDir]), or for whoever was given the path.
package trusted
