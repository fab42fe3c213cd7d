// SPDX-License-Identifier: Apache-2.0

// Package nodetest is what tests of package node and of the rooms below it share: pods with a
// veth pair, the ways in which their chains can be held, what others do to them, processes that
// are killed in a change, and what libxdp's tools do. Only tests import it.
//
// # Mechanism
//
// A [Pod] is what an ADD would ask for. Its methods do to the pod's chains what the plugin and
// xdpctl do, and end the test where that fails; what is to fail is called by the test itself.
// Programs without an object are built-ins; [Path] leads to all others.
//
// testdata has a program, before.o, and the one that takes its place, after.o.
package nodetest

//go:generate ../../../bpf/compile.sh testdata/before.c testdata/before.o
//go:generate ../../../bpf/compile.sh testdata/after.c testdata/after.o
