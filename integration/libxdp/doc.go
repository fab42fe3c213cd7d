// SPDX-License-Identifier: Apache-2.0

// Package libxdp holds the suites of the libxdp dispatcher beside libxdp's own
// tools: xdp-loader, xdp-filter and xdpdump of Debian's xdp-tools manage an interface
// in turn with the plugin, and at the same time. It has tests alone.
//
// # Mechanism
//
// Package plugintest calls the plugin. The tools run in the pod's network namespace
// and find its chain in the tree that LIBXDP_BPFFS names, as docs/dispatchers.md tells
// an operator to do. Which members run, and in which order, is read from the frames:
// each member of testdata/mark.c signs the frame and returns what it tells it to.
//
// Cases of xdp-tools' own tests that can be driven from outside are here too, with
// the plugin in the place of one side.
//
// # Invariants
//
// Nothing here imports the project's packages besides the helpers of tests. Every
// test begins with testenv.NoLeaks.
//
// # Traps
//
// The suites need a kernel that replaces functions of programs, and so run in the
// guests of integration/vm:
//
//	go run ./integration/vm -kernel 6.1 -packages ./integration/libxdp -test.v
//
// What xdp-loader leaves behind by itself is not the plugin's leak: the folder "xdp"
// of a tree that it was the last to use. The plugin sweeps it when the pod is gone.
package libxdp

//go:generate ../../bpf/compile.sh testdata/mark.c testdata/mark.o
//go:generate ../../bpf/compile.sh testdata/frags.c testdata/frags.o
//go:generate ../../bpf/compile.sh testdata/tail.c testdata/tail.o
