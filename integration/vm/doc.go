// SPDX-License-Identifier: Apache-2.0

// Command vm is the lab: virtual machines with Debian's kernels in which the tests run that this
// machine's kernel would not be enough for, be it too new, too old, or without the
// right to replace functions of BPF programs (freplace). `make lab` runs all suites in
// all kernels; for one suite, or for a command to look at something:
//
//	go run ./integration/vm -kernel 6.1 -packages ./internal/node -- -test.v -test.run Libxdp
//	go run ./integration/vm -kernel 5.10 sh -c 'ip link add v0 type veth; xdp-loader status'
//	go run ./integration/vm -kernel 6.12 -icount -file bin/bench=bench ./bench insns
//
// It needs root only to install QEMU. The status is 0, or that of the first command
// that failed (go run itself makes a 1 of it), or 1 where a guest crashed or took too
// long. Where the lab cannot be, as on another distribution, it says why and returns 0,
// or 1 when CI=true.
//
// # Mechanism
//
// The kernels are Debian's for clouds. They are fetched with apt, from the archive that
// the machine takes its own packages from, into folders of their own: nothing is
// installed and no index of the machine's is touched. So is the guests' userland, a
// Debian 12 of a few packages with its xdp-tools. Both are kept in .cache/vm until make
// clean, whatever newer ones there may be.
//
// A guest is QEMU with an emulated processor (TCG), a kernel, and one image that is
// unpacked into its memory: the userland, this checkout as it is now, with the static
// test binaries in the folders of their packages, the binaries of this project and of
// the CNI project, and a few modules. Its process 1 is package guest, which runs the
// commands of a script (package script) one after another and tells how they ended. It
// has no disk and no network card; when it is over, nothing is left of it.
//
// A kernel's suites are parted among three guests, of which as many run at a time as this
// machine has processors. Each has two of its own, which take turns in one thread of
// QEMU, for a tenth of a second or until one is idle.
//
// # For tests
//
// In a guest XDP_CHAIN_LAB is the series of the kernel, XDP_CHAIN_BIN the folder with
// the built xdp-chain and xdpctl, since there is no Go, and CI is true. What the lab is
// for and may not skip, and what its kernels may lack, is said in package testenv.
// Tests run with -test.short, and those that repeat something very often do it less
// often then. Cases that differ in what is the same on all kernels are sharded among
// them: XDP_CHAIN_SHARD says which kernel of how many this is, as in 1/3, so that one
// that runs alone runs them all. Which suites there are is the list suites in suite.go,
// which programs the list userlandPackages, and which modules wantedModules.
//
// # Traps
//
// Emulation is slow, some ten times in user space and more in the kernel, and time goes
// on meanwhile: a test that takes a pause for long enough will fail here first. With
// -icount the guest's clock counts its instructions instead, which makes figures that
// can be compared, but nothing there is ever at once.
//
// A kernel's bug that ends in an oops ends the guest (oops=panic), with the console's
// last words in the error.
package main
