// SPDX-License-Identifier: Apache-2.0

// Package lessons runs what the XDP hands-on tutorial (github.com/xdp-project/xdp-tutorial)
// teaches in its lessons basic01 to packet03, with each program as a member of a chain. It
// has tests alone; docs/lessons.md is what a reader of the tutorial wants.
//
// # Mechanism
//
// The programs in bpf/ are written for these suites after what a lesson describes. Each test
// puts one into a chain of a pod, between members that count (see main_test.go), with either
// dispatcher, and sends frames that show what it does. Two more are about what goes beyond
// the lessons: frames of several buffers, and programs in the entries of a member's devmap
// or cpumap.
//
// # Invariants
//
// As in package cnitool, nothing here imports the project's packages besides the helpers of
// tests, and every test begins with testenv.NoLeaks.
//
// # Traps
//
// What XDP_TX and XDP_REDIRECT send to a veth arrives if the other end has native XDP, too:
// these tests put a program there, as the tutorial does.
//
// The lab does not run the suites by itself, for the time they take. With libxdp's
// dispatcher they run where the kernel replaces functions of programs, as the lab's do:
//
//	go run ./integration/vm -kernel 6.12 -packages ./integration/lessons
package lessons

//go:generate ../../bpf/compile.sh bpf/pass.c bpf/pass.o
//go:generate ../../bpf/compile.sh bpf/several.c bpf/several.o
//go:generate ../../bpf/compile.sh bpf/counter.c bpf/counter.o
//go:generate ../../bpf/compile.sh bpf/pinned.c bpf/pinned.o
//go:generate ../../bpf/compile.sh bpf/parsing.c bpf/parsing.o
//go:generate ../../bpf/compile.sh bpf/ports.c bpf/ports.o
//go:generate ../../bpf/compile.sh bpf/vlan.c bpf/vlan.o
//go:generate ../../bpf/compile.sh bpf/echo.c bpf/echo.o
//go:generate ../../bpf/compile.sh bpf/redirect.c bpf/redirect.o
//go:generate ../../bpf/compile.sh bpf/frags.c bpf/frags.o
//go:generate ../../bpf/compile.sh bpf/stages.c bpf/stages.o
