// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// basic03-map-counter: packets and bytes by action, per CPU.

#include "tally.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ACTIONS);
	__type(key, __u32);
	__type(value, struct tally);
} tallies SEC(".maps");

SEC("xdp")
int count_actions(struct xdp_md *ctx)
{
	return tally_frame(ctx, &tallies, asked_action(ctx));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
