// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* Two programs, not of the frags kind, and one global for both. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const volatile __u8 limit = 1;

SEC("xdp")
int first(struct xdp_md *ctx)
{
	(void)ctx;
	return limit ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int second(struct xdp_md *ctx)
{
	(void)ctx;
	return limit ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
