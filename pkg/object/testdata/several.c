// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Programs of several kinds in one object, with a subprogram of their own.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} of_first SEC(".maps");

static __attribute__((noinline)) int look(void *map)
{
	__u32 key = 0, *value = bpf_map_lookup_elem(map, &key);

	return value ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int first(struct xdp_md *ctx)
{
	(void)ctx;
	return look(&of_first);
}

SEC("xdp.frags")
int second(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

SEC("xdp/devmap")
int on_devmap(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

SEC("xdp.frags/cpumap")
int on_cpumap(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

SEC("tc")
int classify(struct __sk_buff *skb)
{
	(void)skb;
	return 0;
}

SEC("prog")
int plain(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Proprietary";
