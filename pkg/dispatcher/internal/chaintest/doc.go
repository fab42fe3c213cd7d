// SPDX-License-Identifier: Apache-2.0

// Package chaintest holds what a chain means, as tests that every dispatcher has to
// pass, and the members, chains and packets that they and the dispatchers' own tests
// are made of. Only tests import it.
//
// # Mechanism
//
// [Test] is the whole of it: chains are built, loaded and run in this kernel, and what
// they do is compared with chain.Decide and with what package dispatcher promises. A
// dispatcher that does not count passes as well: counters are looked at where a Built
// has them.
//
// # Traps
//
// Members made here have BTF, as not every dispatcher takes others; [Strip] takes it
// from them.
package chaintest
