// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* Has everything whose name can meet that of another member: a map, constants,
 * variables, a static function and a global one. */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} seen SEC(".maps");

const volatile __u32 verdict = XDP_DROP;
__u32 step = 1;
__u64 sum;

static __attribute__((noinline)) int add(void)
{
	__sync_fetch_and_add(&sum, step);
	return 0;
}

__attribute__((noinline)) int touch(__u32 key)
{
	__u64 *n = bpf_map_lookup_elem(&seen, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

SEC("xdp")
int globals(struct xdp_md *ctx)
{
	(void)ctx;
	add();
	touch(0);
	return verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
