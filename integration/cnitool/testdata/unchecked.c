// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* Reads a packet without looking at its length, which no verifier lets pass. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int unchecked(struct xdp_md *ctx)
{
	return *(__u8 *)(long)ctx->data ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
