// SPDX-License-Identifier: Apache-2.0

// Bench measures what a chain costs, each figure beside the bare alternative that
// was measured in the same run: `go run ./integration/bench`, or `make bench`.
// docs/performance.md says what each line means.
//
// # Mechanism
//
// Sub-packages have what the sections share: report, what is printed; workload, the pods
// and chains that are measured; and insns, see below.
//
// The program builds the plugins into .cache, enters the namespaces of package
// sandbox, and works through its sections. Variants that are compared take turns,
// in a new random order each round, so that whatever else the machine does hits
// all alike. Of durations with system calls and processes in them the median is
// taken; of packets the least, as nothing makes a processor faster than it is.
//
// With -against DIR the sections pods, crowd and commands measure a second build, too, whose
// binaries xdp-chain and xdpctl lie in DIR. It takes turns with ours, on the same node and
// with the same records, so it has to read what ours writes. For each thing that is compared
// there is the ratio of the medians, ours to the other's, and between what the middle half of
// the ratios of single rounds lies: what does not stick out of that is noise.
//
// `bench insns`, which `make bench-insns` runs in the lab, is a mode of its own: it
// counts instructions instead of time, by a clock that only an emulated processor
// has, and compares the linked dispatcher with libxdp's, made by us and by
// xdp-loader, with tail calls, and with one C function.
//
// # Traps
//
// A packet's time is the processor time of a long test run over its repetitions,
// see way.sample; the wall time says something else.
//
// What the kernel frees, it frees later, on its own threads. Between rounds the
// program waits a little, so that a round does not pay for the one before.
package main
