// SPDX-License-Identifier: Apache-2.0

// Package sandbox gives a program that changes a node a node of its own: a
// process with private mount, network and process-id namespaces, in which the
// fixed paths of this project (/sys/fs/bpf, /run/xdp-chain, /var/lib/xdp-chain,
// /run/netns) are empty and the "host's" network namespace holds lo alone. Tests
// (package testenv) and the benchmark run in it.
//
// # Mechanism
//
// [Enter] starts the running binary once more in new namespaces. A process cannot
// move itself there: the Go runtime has threads before main runs, and unshare
// moves one thread only. The first process then only waits: it hands signals on
// and ends with the child's exit status. The child is process 1 of its pid
// namespace, so whatever it forgets to stop dies with it.
//
// # Invariants
//
// Nothing here writes outside of the namespaces; /tmp and the checkout are the
// machine's.
//
// # Traps
//
// BPF objects belong to no namespace: every process of the machine sees every id,
// and what is left pinned or attached goes with the namespaces, not before.
//
// Importing the package ties the main goroutine to the main thread.
package sandbox
