// SPDX-License-Identifier: Apache-2.0

// Package testenv gives tests a node of their own, the namespaces of package
// sandbox, and what they need there: pods' network namespaces, veth pairs, frames,
// and a look at what is left. Only tests import it.
//
// # Mechanism
//
// [Main] runs a test binary in the sandbox as a whole; the helpers undo what they
// make at the end of the test.
//
// # Invariants
//
// /tmp and the checkout are the machine's, so that t.TempDir, coverage profiles
// and fuzz corpora work as usual.
//
// # Traps
//
// BPF objects belong to no namespace: every process of the machine sees every id.
// [NoLeaks] therefore does not compare the kernel's lists of ids, in which other
// test binaries come and go, but everything in these namespaces that can keep an
// object alive.
package testenv
