// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// basic02-prog-by-name: an object of several programs, of which a member is one.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int let_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

SEC("xdp.frags")
int drop_all(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

SEC("xdp.frags")
int abort_all(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_ABORTED;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
