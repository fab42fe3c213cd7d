// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* The small member of which the chains here are made, and the same work of two, five
 * and ten of it as one function, as somebody would write it who needs no chain. Each
 * counts every packet in a map of its own. */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define PACKETS(name)                                    \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); \
		__uint(max_entries, 1);                  \
		__type(key, __u32);                      \
		__type(value, __u64);                    \
	} name SEC(".maps")

PACKETS(packets0);
PACKETS(packets1);
PACKETS(packets2);
PACKETS(packets3);
PACKETS(packets4);
PACKETS(packets5);
PACKETS(packets6);
PACKETS(packets7);
PACKETS(packets8);
PACKETS(packets9);

static __always_inline void add_one(void *packets)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(packets, &key);

	if (n)
		(*n)++;
}

SEC("xdp.frags")
int member(struct xdp_md *ctx)
{
	(void)ctx;
	add_one(&packets0);
	return XDP_PASS;
}

SEC("xdp.frags")
int together2(struct xdp_md *ctx)
{
	(void)ctx;
	add_one(&packets0);
	add_one(&packets1);
	return XDP_PASS;
}

SEC("xdp.frags")
int together5(struct xdp_md *ctx)
{
	(void)ctx;
	add_one(&packets0);
	add_one(&packets1);
	add_one(&packets2);
	add_one(&packets3);
	add_one(&packets4);
	return XDP_PASS;
}

SEC("xdp.frags")
int together10(struct xdp_md *ctx)
{
	(void)ctx;
	add_one(&packets0);
	add_one(&packets1);
	add_one(&packets2);
	add_one(&packets3);
	add_one(&packets4);
	add_one(&packets5);
	add_one(&packets6);
	add_one(&packets7);
	add_one(&packets8);
	add_one(&packets9);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
