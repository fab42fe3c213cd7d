// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Programs that a chain has no place for.

#include <linux/bpf.h>

#include <stdbool.h>

#include <bpf/bpf_helpers.h>

extern unsigned int LINUX_KERNEL_VERSION __kconfig;

extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) __ksym;

SEC("xdp")
int on_kconfig(struct xdp_md *ctx)
{
	(void)ctx;
	return LINUX_KERNEL_VERSION > 5 ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int on_metadata(struct xdp_md *ctx)
{
	__u64 timestamp;

	return bpf_xdp_metadata_rx_timestamp(ctx, &timestamp) ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int target(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} targets SEC(".maps") = {
	.values = { [0] = (void *)&target },
};

SEC("xdp")
int on_programs(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &targets, 0);
	return XDP_PASS;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 20);
	__type(key, __u32);
	__type(value, __u8[4096]);
} memory SEC(".maps");

SEC("xdp")
int on_memory(struct xdp_md *ctx)
{
	__u32 key = 0;

	(void)ctx;
	return bpf_map_lookup_elem(&memory, &key) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
