// SPDX-License-Identifier: Apache-2.0

// Package crashtest kills a process at each point where it changes something, so
// that tests can show that what it leaves can be completed or taken back. Only
// tests import it.
//
// # Mechanism
//
// [AtEach] starts the test binary over and over. The child runs one named body on
// its main thread, which the parent traces with ptrace(2), from one system call to
// the next. Before the first call that changes files or BPF objects the parent kills
// the child, in the next run before the second, and so on until a child gets through
// the whole body. The code under test needs no hooks for that, and no step of it can
// be forgotten.
//
// # Traps
//
// Only what the body does on its own goroutine is seen: the main goroutine, which
// stays on the main thread.
package crashtest
