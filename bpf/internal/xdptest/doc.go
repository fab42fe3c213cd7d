// SPDX-License-Identifier: Apache-2.0

// Package xdptest runs the built-in programs on frames built by hand. Only tests
// import it.
//
// Programs run in the kernel by BPF_PROG_TEST_RUN, on no interface. The kernel
// takes no frame there that is shorter than an Ethernet header, nor does any
// driver hand one to XDP, so [MinFrame] is where tests of short frames begin.
//
// Builders compute no checksums: where a program reads one, its tests put it in.
package xdptest
