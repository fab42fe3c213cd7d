// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* Leaves its function by all the ways there are: tail calls, callbacks, and a
 * context that is not declared as one. */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} jumps SEC(".maps");

__u64 rounds;

SEC("xdp")
int tail(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &jumps, 0);
	return XDP_ABORTED;
}

static long again(__u32 i, void *unused)
{
	(void)unused;
	rounds += i;
	return 0;
}

SEC("xdp")
int loop(void *ctx)
{
	(void)ctx;
	bpf_loop(5, again, NULL, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
