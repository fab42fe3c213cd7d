// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* Members that ask the kernel about itself at load time. */

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

extern int LINUX_KERNEL_VERSION __kconfig;

struct xdp_buff {
	void *data_hard_start;
	void *no_such_field;
} __attribute__((preserve_access_index));

SEC("xdp")
int kconfig(struct xdp_md *ctx)
{
	(void)ctx;
	return LINUX_KERNEL_VERSION ? XDP_TX : XDP_ABORTED;
}

SEC("xdp")
int core(struct xdp_md *ctx)
{
	struct xdp_buff *buff = NULL;

	(void)ctx;
	if (bpf_core_field_exists(buff->data_hard_start) && !bpf_core_field_exists(buff->no_such_field))
		return XDP_TX;
	return XDP_ABORTED;
}

SEC("xdp")
int exists(struct xdp_md *ctx)
{
	struct xdp_buff *buff = NULL;

	(void)ctx;
	return bpf_core_field_exists(buff->data_hard_start);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
