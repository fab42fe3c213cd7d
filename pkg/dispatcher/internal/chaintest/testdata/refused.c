// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* A member that the verifier refuses: it reads a packet that may be empty. */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int refused(struct xdp_md *ctx)
{
	return *(__u8 *)(long)ctx->data;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
