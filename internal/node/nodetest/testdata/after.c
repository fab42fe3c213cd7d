// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// What takes the place of before.c: one of its maps has the same shape, one has another.

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} same SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} resized SEC(".maps");

const volatile __u32 verdict = XDP_ABORTED;
const volatile __u64 step = 1;

#define COUNT(map) \
	do { \
		__u32 first = 0; \
		__u64 *packets = bpf_map_lookup_elem(&map, &first); \
\
		if (packets) \
			__sync_fetch_and_add(packets, step); \
	} while (0)

SEC("xdp")
int after(struct xdp_md *ctx)
{
	(void)ctx;
	COUNT(same);
	COUNT(resized);
	return verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
