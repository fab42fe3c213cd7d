// SPDX-License-Identifier: Apache-2.0

// Package linked makes a chain by linking all members, at load time, into one XDP
// program: a few instructions in front that call each member by a direct call from
// BPF function to BPF function. It needs no trampolines and no BTF in the members,
// on Linux 5.10 and later with BTF of its own (/sys/kernel/btf/vmlinux), by which
// the verifier knows that a function's argument is the context.
//
// # Mechanism
//
// Each member's entry function becomes a function of global linkage, int
// f(struct xdp_md *ctx), which the verifier takes for a function of its own: it is
// proved once, for every context, and what it does cannot disturb the proof of
// another. Static functions of a member stay static. All symbols and references
// get the member's name in front, so that members may share names or even be the
// same object twice. Maps keep their names: each member's maps are made from its
// own spec, apart from the others', and only the file descriptors meet.
//
// The program in front is written instruction by instruction, see dispatch. Its
// kernel name is [ProgramName]; it must not be xdp_dispatcher, by which libxdp
// knows its own.
//
// # Invariants
//
// The program means what chain.Decide says, for all 2^32 values that a member can
// return. A packet is counted once, after the decision.
//
// A successful load makes no second system call for a log. When a load fails, every
// member is loaded once more without the others: first as a chain of its own, then
// as the plain program it was. That tells who is to blame, and whether linking is.
//
// # Traps
//
// The kernel wants line info for all functions of a program or for none, and BTF
// for all or none: functions without get a made-up one.
//
// A member behind one whose proceedOn is empty never runs. It is still linked, so
// that its maps are there, but newer kernels do not verify what is never called.
//
// A tail call out of a member ends the member only: the verdict of the program that
// it leads to is the member's. The kernel allows it where its JIT knows tail calls
// in BPF functions (x86-64 since 5.10). Whoever fills the program array must keep
// it open or pinned, as the kernel empties it with its last user.
package linked
