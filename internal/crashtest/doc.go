// SPDX-License-Identifier: Apache-2.0

// Package crashtest kills a process at each point where it changes something, so
// that tests can show that what it leaves can be completed or taken back. Only
// tests import it.
//
// # Mechanism
//
// [AtEach] starts the test binary over and over. The child runs one named body,
// and the parent traces all of its threads with ptrace(2), while a seccomp(2) filter
// stops them at each system call that may be a change. Before the first call that
// changes files, BPF objects or network interfaces the parent kills the child, in the
// next run before the second, and so on until a child gets through the whole body.
// The code under test needs no hooks for that, and no step of it can be forgotten.
// [AtSome] is for where a kill takes long.
//
// # Traps
//
// The parent waits until the kernel has closed the killed child's files. What
// another process would meet in between, such as a lock that is free before a
// link is gone, is not shown.
//
// Changes that a body makes in no fixed order, by iterating over a map or on
// several threads at once, are counted in another order in each run. Every run
// still kills at another count, and the last one still is the first to get through.
package crashtest
