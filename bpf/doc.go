// SPDX-License-Identifier: Apache-2.0

// Package bpf holds the built-in XDP programs: their C sources, one folder a
// program with a README that says what it does and how it is set, and the objects
// compiled from them, which are committed and embedded here. internal/catalog gives
// them their names. Where the plugin reads what a program counts, the program's
// folder is a Go package too, which knows its maps. Folder dispatcher holds no
// program of a chain, but what stands in front of one: libxdp's dispatcher, for
// pkg/dispatcher/libxdp.
//
// # Mechanism
//
// compile.sh is the one way to make an object, of these as of the tests'. It
// insists on one version of clang, and what it makes depends on the sources
// alone: not on the path of the checkout, nor on the folder it is called from. So
// `make generate` changes no object whose source did not change, and CI holds
// that against it.
//
// # Invariants
//
// The programs, and the dispatcher, run on every kernel from 5.10 on: no helper, map
// type or verifier feature of a later one. The programs are in section xdp.frags, so
// that a chain of them takes frames of several buffers; a kernel before 5.18 does not
// know the load flag that stands for it (BPF_F_XDP_HAS_FRAGS), and does not need it,
// since it has no such frames. Loading them for those kernels means clearing that flag.
//
// None returns XDP_ABORTED, whatever the frame: that is left to bugs.
//
// # Traps
//
// Loading a program is part of every pod's start, and the verifier's work is most
// of it. What is global and noinline in the sources is so to be verified once
// instead of once for each way that leads there; making it static costs
// milliseconds. Maps are small for the same reason, and have no .rodata beside
// them where there is no setting.
package bpf
