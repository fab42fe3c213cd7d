// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// basic01-xdp-pass: the least there is.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int let_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
