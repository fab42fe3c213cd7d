// SPDX-License-Identifier: Apache-2.0

// Package libxdp makes a chain by libxdp's multiprog protocol, so that xdp-loader,
// xdp-filter, xdpdump and whatever else uses libxdp can manage the same interface.
//
// # Mechanism
//
// The dispatcher of bpf/dispatcher calls ten functions that do nothing, prog0 to
// prog9. Each member is a program of its own, of type BPF_PROG_TYPE_EXT, that takes
// the place of one of them: the kernel overwrites the function's first instruction
// with a jump (freplace). How many slots are enabled, and after which verdicts the
// chain goes on, stands in the dispatcher's only map, which is frozen before the load;
// so the verifier knows it, and removes what no packet will run.
//
// A dispatcher cannot be changed. Each change of a chain makes a new one, to which the
// members that stay are attached again, without loading them anew: their program ids
// and maps stay what they were. While they are attached to both, packets go through
// either.
//
// [Read] reads the config of a dispatcher that is there, whoever made it. What is in
// its slots the pins tell, libxdp's files on bpffs: package pin's affair. [Probe]
// tells whether the kernel can do all this.
//
// # Where protocol and meaning differ
//
// The meaning of a chain is that of package chain, strictly. libxdp differs in two
// places, and in one its dispatcher has an accident:
//
//   - It attaches a lone program to xdp_dispatcher itself, so that its verdict is the
//     chain's even if it is in proceedOn. Here a lone member that may return such a
//     verdict, other than XDP_PASS, goes into the first of one slots.
//   - It sets bit 31 in each mask, so that the chain goes on after dispatcher_return
//     whatever proceedOn says. Here the bit is left out for a member that does not
//     name it and may return it.
//   - Its dispatcher shifts by a verdict beyond 31 modulo 32. Here that is final.
//
// What a member may return is found out by following the constants in its
// instructions, see returns.go. The tools read all of it as usual: they look at the
// pins and not at what function is replaced, and mask bit 31 off. When they change the
// chain themselves, it is theirs and has libxdp's meaning, until it is built here
// again. Their own members have it always.
//
// # Invariants
//
// The programs of a Built are complete when it is returned: no slot that is enabled is
// empty, and so none is ever on an interface.
//
// Members are ordered by chain.Compare as long as all are ours, and as libxdp orders
// them when others are among them.
//
// # Traps
//
// A slot is empty again as soon as nothing holds its link: until they are pinned, the
// links belong to the process. An empty slot returns dispatcher_return.
//
// Frags: an extension program is loaded without BPF_F_XDP_HAS_FRAGS, and the kernel
// does not tell of it; whether a program takes frags is written in the dispatcher's
// config alone.
//
// A tail call out of a member ends the member only, as in a linked chain. A program
// array that an extension program uses takes no XDP programs before Linux 6.2, and on
// newer kernels only those that are loaded without an expected attach type.
//
// Since Linux 6.8 the verifier takes functions out of a program that nothing can call.
// So a slot must look as if packets could come to it, even behind a member after which
// none goes on: bpf/dispatcher/dispatcher.h takes care of that.
package libxdp
