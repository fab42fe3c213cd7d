// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

//go:build ignore

#include "parse.h"

/*
 * Stands before ratelimit: gives IPv4 packets the sources 0.0.0.0 to
 * 0.0.0.(sources - 1) in turn, and says when they came by the clock that ratelimit
 * reads.
 */
const volatile __u32 sources = 1;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

/*
 * ns after which a time without packets is a pause, as a machine with other work
 * makes them: what a full bucket cannot take is lost in one.
 */
const volatile __u64 pause = 0;

/* All in ns. */
struct times {
	__u64 first;
	__u64 last;
	__u64 paused; /* sum of the times between packets that are longer than pause */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct times);
} times SEC(".maps");

static __always_inline void note_time(void)
{
	const __u32 key = 0;
	struct times *t = bpf_map_lookup_elem(&times, &key);
	__u64 now = bpf_ktime_get_ns();

	if (!t)
		return;
	if (!t->first)
		t->first = now;
	else if (now > t->last + pause)
		t->paused += now - t->last;
	t->last = now;
}

static __always_inline void give_source(struct xdp_md *ctx)
{
	const __u32 key = 0;
	__u32 *n = bpf_map_lookup_elem(&next, &key);
	struct frame f = frame_of(ctx);
	struct ethhdr *eth = take(&f, sizeof(*eth));
	struct iphdr *ip = take(&f, sizeof(*ip));

	if (!n || !eth || !ip || eth->h_proto != bpf_htons(ETH_P_IP))
		return;
	ip->saddr = bpf_htonl(*n);
	*n = *n + 1 < sources ? *n + 1 : 0;
}

SEC("xdp")
int traffic(struct xdp_md *ctx)
{
	give_source(ctx);
	note_time();
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
