// SPDX-License-Identifier: Apache-2.0

// Package cnitool holds the black-box suites of the plugin: the built binaries,
// run by libcni, by cnitool and by hand, behind the real bridge and ptp plugins,
// judged by what happens to real packets and by what is left when all is over. It
// has tests alone.
//
// # Mechanism
//
// Package plugintest builds and calls the plugin and xdpctl; the other plugins and
// cnitool come from .cache/bin, where hack/cni-plugins.sh puts them in pinned
// versions. Suites about the pod's whole
// life go through a runtime (libcni or cnitool) with a list of plugins; suites
// about what the plugin does with one call give it a veth pair and a prevResult
// written by hand, which is quicker and can be as wrong as wanted.
//
// Suites about what a pod can do to its own chain start containers: this test binary once
// more, in the pod's network namespace, with the capabilities, mounts and process ids that a
// runtime would give it. A container makes one attempt at a time in a child of its own, and
// reports what the kernel answered.
//
// # Invariants
//
// Nothing here imports the project's packages besides the helpers of tests: what a test knows
// of the plugin is what its documentation promises. Every test begins with
// testenv.NoLeaks.
package cnitool

//go:generate ../../bpf/compile.sh testdata/two.c testdata/two.o
//go:generate ../../bpf/compile.sh testdata/classifier.c testdata/classifier.o
//go:generate ../../bpf/compile.sh testdata/unchecked.c testdata/unchecked.o
