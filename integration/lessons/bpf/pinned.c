// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// basic04-pinning-maps: the counter, in a map that is shared by its name.

#include "tally.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, ACTIONS);
	__type(key, __u32);
	__type(value, struct tally);
} shared_tallies SEC(".maps");

SEC("xdp")
int count_shared(struct xdp_md *ctx)
{
	return tally_frame(ctx, &shared_tallies, asked_action(ctx));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
