// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/*
 * Counting packets and bytes by what becomes of them. The frames of the lessons that
 * count have an EtherType for experiments and say in their first byte what the program
 * has to return; all others pass.
 */
#ifndef LESSONS_TALLY_H
#define LESSONS_TALLY_H

#include <linux/if_ether.h>

#include "parse.h"

#define ETH_P_EXPERIMENT 0x88b5 /* IEEE 802, local experimental EtherType 1 */

#define ACTIONS (XDP_REDIRECT + 1)

struct tally {
	__u64 packets;
	__u64 bytes;
};

static __always_inline __u32 asked_action(const struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	const struct ethhdr *eth = take(&f, sizeof(*eth));
	const __u8 *asked;

	if (!eth || eth->h_proto != bpf_htons(ETH_P_EXPERIMENT))
		return XDP_PASS;
	asked = take(&f, sizeof(*asked));
	return asked && *asked < ACTIONS ? *asked : XDP_PASS;
}

/* Adds the frame to the action's row of a per-CPU array, and returns the action. */
static __always_inline int tally_frame(const struct xdp_md *ctx, void *tallies, __u32 action)
{
	struct tally *t = bpf_map_lookup_elem(tallies, &action);

	if (t) {
		/* Per CPU, and XDP does not interrupt itself: no atomics. */
		t->packets++;
		t->bytes += ctx->data_end - ctx->data;
	}
	return action;
}

#endif
