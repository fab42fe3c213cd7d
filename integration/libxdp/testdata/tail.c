// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/*
 * A member that makes the frame longer. Newer kernels let it replace only what may
 * change the frame itself.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int lengthen(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_tail(ctx, 8) ? XDP_ABORTED : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
