// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* As much of a dispatcher of version 1 as its readers look at: the config in its first
 * form, and the version in BTF. */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

const volatile struct {
	__u8 num_progs_enabled;
	__u32 chain_call_actions[10];
	__u32 run_prios[10];
} conf = {
	.num_progs_enabled = 2,
	.chain_call_actions = {1U << 31 | 1 << XDP_PASS, 1U << 31 | 1 << XDP_DROP},
	.run_prios = {10, 20},
};

SEC("xdp")
int xdp_dispatcher(struct xdp_md *ctx)
{
	(void)ctx;
	return conf.num_progs_enabled ? XDP_PASS : XDP_ABORTED;
}

__uint(dispatcher_version, 1) SEC("xdp_metadata");

char LICENSE[] SEC("license") = "Dual BSD/GPL";
