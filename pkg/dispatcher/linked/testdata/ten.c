// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* Ten times the work of count.c, each in a map of its own, as one function: what a
 * chain of ten is measured against. */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define PACKETS(n)                                  \
	struct {                                    \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); \
		__uint(max_entries, 1);             \
		__type(key, __u32);                 \
		__type(value, __u64);               \
	} packets##n SEC(".maps")

PACKETS(0);
PACKETS(1);
PACKETS(2);
PACKETS(3);
PACKETS(4);
PACKETS(5);
PACKETS(6);
PACKETS(7);
PACKETS(8);
PACKETS(9);

static __always_inline int count(void *packets)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(packets, &key);

	if (n)
		(*n)++;
	return XDP_PASS;
}

SEC("xdp.frags")
int ten(struct xdp_md *ctx)
{
	(void)ctx;
	count(&packets0);
	count(&packets1);
	count(&packets2);
	count(&packets3);
	count(&packets4);
	count(&packets5);
	count(&packets6);
	count(&packets7);
	count(&packets8);
	count(&packets9);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
