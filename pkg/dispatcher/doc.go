// SPDX-License-Identifier: Apache-2.0

// Package dispatcher is the seam between those who want a chain of XDP programs
// and the ways to make one. A [Dispatcher] turns members into one loaded program
// that calls them in order, with the meaning that package chain fixes; its
// implementations are the packages below this one.
//
// # Mechanism
//
// A [Member] is one program of a collection spec, as cilium/ebpf loads it or package
// object makes it, together with its place in the chain and with existing maps
// that it shall use instead of new ones. [Dispatcher.Build] loads everything and
// attaches nothing: whoever calls it swaps [Built.Program] in on an interface and
// pins [Built.Maps] and [Built.Counters] before closing the Built.
//
// # Counters
//
// Drops of XDP leave no trace in tcpdump, so the dispatcher itself counts who
// decided: one increment a packet, at the end, in the row of the deciding member's
// position and the column of the verdict's class. Rows are positions, because that
// is what a program knows at no cost; [ReadCounters] turns them into names. The map
// belongs to one build: after a swap the new chain counts in a new map, and the
// counts of the old one are to be read once more after the last packet has left it.
//
// # Invariants
//
// Build changes nothing outside of the process but for kernel objects that live
// no longer than the file descriptors in the Built: a process that dies leaves
// nothing. Every error of a member names it.
//
// # Traps
//
// Kernels before 5.11 charge maps and programs against RLIMIT_MEMLOCK and report
// an exceeded limit as EPERM, as missing capabilities. The limit belongs to the
// process, so raising it is for main functions; [ErrNotPermitted] says both.
package dispatcher
