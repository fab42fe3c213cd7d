// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

//go:build ignore

#include "parse.h"

/*
 * Two members that stand around ratelimit: what they see of the packets, by the
 * clock that it reads, is what the tests judge it by.
 */

/* IPv4 packets get the sources 0.0.0.0 to 0.0.0.0 + sources - 1 in turn. */
const volatile __u32 sources = 1;

/*
 * ns after which a time without packets is a pause, as a machine with other work
 * makes them: what a full bucket cannot take is lost in one.
 */
const volatile __u64 pause = 0;

/*
 * So many packets that do not pass, one after the other, mean that the bucket is
 * empty. One does not mean it, as another CPU may still be at it.
 */
#define EMPTY 32

/* Times in ns. */
struct moment {
	__u64 at;     /* when the last packet came, 0: none */
	__u64 paused; /* sum of the pauses until then */
	__u64 passed; /* packets */
};

struct record {
	struct moment first; /* packet */
	struct moment now;
	struct moment first_empty; /* was the bucket */
	struct moment last_empty;
	__u32 in_vain; /* packets since the last that passed */
	__u32 next_source;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct record);
} records SEC(".maps");

static __always_inline struct record *record(void)
{
	const __u32 key = 0;

	return bpf_map_lookup_elem(&records, &key);
}

static __always_inline void note_arrival(struct record *r)
{
	__u64 now = bpf_ktime_get_ns();

	/* The packets until now did not pass; of this one nothing is known yet. */
	if (r->in_vain >= EMPTY) {
		r->last_empty = r->now;
		if (!r->first_empty.at)
			r->first_empty = r->now;
	}
	if (r->now.at && now > r->now.at + pause)
		r->now.paused += now - r->now.at;
	r->now.at = now;
	r->in_vain++;
	if (!r->first.at)
		r->first = r->now;
}

static __always_inline void give_source(struct record *r, struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	struct ethhdr *eth = take(&f, sizeof(*eth));
	struct iphdr *ip = take(&f, sizeof(*ip));

	if (!eth || !ip || eth->h_proto != bpf_htons(ETH_P_IP))
		return;
	ip->saddr = bpf_htonl(r->next_source);
	r->next_source = r->next_source + 1 < sources ? r->next_source + 1 : 0;
}

SEC("xdp")
int before(struct xdp_md *ctx)
{
	struct record *r = record();

	if (!r)
		return XDP_ABORTED;
	give_source(r, ctx);
	note_arrival(r);
	return XDP_PASS;
}

SEC("xdp")
int behind(struct xdp_md *ctx __attribute__((unused)))
{
	struct record *r = record();

	if (!r)
		return XDP_ABORTED;
	r->in_vain = 0;
	__sync_fetch_and_add(&r->now.passed, 1);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
