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
// # What a machine lacks
//
// A test that cannot run on a machine says so with [Skip], which is a failure when
// CI=true: there every test must run. Two things are excepted, as make test runs the
// same tests on several kernels, the machine's and those of integration/vm, and each
// test must run on some of them:
//
//   - [NeedFreplace]: the machine may refuse to replace functions of programs; the
//     lab's kernels do not.
//   - [NeedKernel]: a kernel of the lab may be older than what a test is about; the
//     machine's must not be.
//
// # Kernels that are slow
//
// The lab emulates its processors, and its tests are to be short (-test.short). A test of
// what is the same on every kernel is left to the machine there, with [KernelIndependent]; the
// cases of a table that differ in nothing of the kernel's are sharded among the lab's kernels,
// with [ShardByKernel], so that together these run all of them.
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
