/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */

#ifndef DISPATCHER_H
#define DISPATCHER_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/*
 * The dispatcher of libxdp's multiprog protocol, in the version that the including
 * file defines. What the protocol fixes are the names of the functions, the layout of
 * conf, and that no other map is used; so libxdp's tools can read the chain.
 */

#define SLOTS 10

/* 'X' + 'D' + 'P': what libxdp looks for in the first byte since version 2. */
#define MAGIC 236

/* What a slot returns in which no program is; the highest bit of an actions mask. */
#define EMPTY_SLOT 31

/* Bytes 2 to 123 of it are the same in versions 2 and 3; bytes 0 and 1 tell which. */
struct xdp_dispatcher_config {
	__u8 magic;
	__u8 dispatcher_version;
	__u8 num_progs_enabled;
	__u8 is_xdp_frags;
	__u32 chain_call_actions[SLOTS];
	__u32 run_prios[SLOTS];
	__u32 program_flags[SLOTS];
#if DISPATCHER_VERSION >= 3
	__u8 is_xdp_devbound;
#endif
};

/*
 * Set before the load and frozen. The verifier then knows the values, and removes
 * the calls of slots that are not enabled and the branches that no verdict takes.
 */
const volatile struct xdp_dispatcher_config conf = {
	.magic = MAGIC,
	.dispatcher_version = DISPATCHER_VERSION,
};

/*
 * A slot, to be replaced by a program. Its return value is volatile so that clang
 * takes nothing about it for granted. bpf_xdp_adjust_tail by 0 bytes changes
 * nothing; but since 6.13 the kernel puts a program that may change the packet's
 * size only in the place of a function that may do so too.
 */
#define SLOT(n)                                     \
	__noinline int prog##n(struct xdp_md *ctx)  \
	{                                           \
		volatile int verdict = EMPTY_SLOT;  \
                                                    \
		if (!ctx)                           \
			return XDP_ABORTED;         \
		bpf_xdp_adjust_tail(ctx, 0);        \
		return verdict;                     \
	}

SLOT(0)
SLOT(1)
SLOT(2)
SLOT(3)
SLOT(4)
SLOT(5)
SLOT(6)
SLOT(7)
SLOT(8)
SLOT(9)

/* The function that libxdp replaces to find out whether the kernel can do it. */
__noinline int compat_test(struct xdp_md *ctx)
{
	volatile int verdict = EMPTY_SLOT;

	if (!ctx)
		return XDP_ABORTED;
	return verdict;
}

/*
 * A way out that clang does not join with another one. The verifier takes a branch
 * away that no packet takes, but only where nothing else leads to its target.
 */
#define LEAVE(place, verdict)               \
	do {                                \
		asm volatile("" : : "i"(place)); \
		return verdict;             \
	} while (0)

/*
 * Calls a slot, and leaves unless the chain goes on. XDP_PASS comes first, since nearly
 * all verdicts are that: what the verifier leaves in their way is one comparison. The
 * mask has bits for 0 to 31; a verdict beyond is final, and a shift by it would be one
 * by its remainder.
 *
 * The mask is turned around before the shift, behind a barrier: of an empty one the
 * verifier would know that no bit is set, and take away the slots that no packet comes
 * to, so that their members could not be attached.
 */
#define CALL(n)                                                          \
	do {                                                             \
		if (enabled <= n)                                        \
			LEAVE(3 * n, XDP_PASS);                          \
		verdict = prog##n(ctx);                                  \
		actions = config->chain_call_actions[n];                 \
		if (verdict == XDP_PASS) {                               \
			if (!(actions & 1U << XDP_PASS))                 \
				LEAVE(3 * n + 1, verdict);               \
		} else {                                                 \
			final = ~actions;                                \
			barrier_var(final);                              \
			if (verdict > EMPTY_SLOT || final >> verdict & 1) \
				LEAVE(3 * n + 2, verdict);               \
		}                                                        \
	} while (0)

SEC("xdp")
int xdp_dispatcher(struct xdp_md *ctx)
{
	const volatile struct xdp_dispatcher_config *config = &conf;
	__u32 verdict, actions, final;
	__u8 enabled;

	/* Keeps the address in a register, instead of loading it for each slot. */
	barrier_var(config);
	enabled = config->num_progs_enabled;

	CALL(0);
	CALL(1);
	CALL(2);
	CALL(3);
	CALL(4);
	CALL(5);
	CALL(6);
	CALL(7);
	CALL(8);
	CALL(9);
	/* Never, but else compat_test would not be part of the program. */
	if (enabled > SLOTS)
		compat_test(ctx);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#endif
