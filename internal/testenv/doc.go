// SPDX-License-Identifier: Apache-2.0

// Package testenv gives tests a machine of their own: a process with private
// mount, network and process-id namespaces, in which the fixed paths of this
// project (/sys/fs/bpf, /run/xdp-chain, /var/lib/xdp-chain, /run/netns) are empty
// and the "host's" network namespace holds lo alone. Only tests import it.
//
// # Mechanism
//
// [Main] starts the test binary once more in new namespaces. A process cannot
// move itself there: the Go runtime has threads before main runs, and unshare
// moves one thread only. The first process then only waits: it hands signals on
// and ends with the child's exit status. The child is process 1 of its pid
// namespace, so whatever a test forgets to stop dies with it.
//
// # Invariants
//
// Nothing here writes outside of the namespaces; /tmp and the checkout are the
// machine's, so that t.TempDir, coverage profiles and fuzz corpora work as usual.
//
// # Traps
//
// BPF objects belong to no namespace: every process of the machine sees every id.
// [NoLeaks] therefore does not compare the kernel's lists of ids, in which other
// test binaries come and go, but everything in these namespaces that can keep an
// object alive.
package testenv
