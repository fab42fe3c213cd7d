// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// The least there is: without a map, a variable or a license.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

const volatile int verdict = XDP_PASS;

SEC("xdp")
int plain(struct xdp_md *ctx)
{
	(void)ctx;
	return verdict;
}
