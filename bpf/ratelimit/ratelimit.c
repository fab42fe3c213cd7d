// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

//go:build ignore

#include "length.h"
#include "neighbour.h"
#include "parse.h"

enum limited {
	source = 0,
	pod = 1,
} __attribute__((packed));

/* The limits; 0: none of that kind. Both hold where both are set. */
const volatile __u32 pps = 0; /* packets a second; DEFAULT_PPS where bps is 0 too */
const volatile __u64 bps = 0; /* bits a second */

/* How large the buckets are, in packets; 0: BURST_TIME. */
const volatile __u32 burst = 0;

/* What has a bucket of its own: every prefix of that many bits, or the pod. */
const volatile enum limited per = source;
const volatile __u8 ipv4_prefix = 32;
const volatile __u8 ipv6_prefix = 64;

#define DEFAULT_PPS 1000
#define MAX_BURST 1000000

/* What a packet of a burst is to a limit in bits: one of 1,500 bytes, in its frame. */
#define BURST_FRAME 1514

#define SECOND 1000000000ULL
#define BURST_TIME (SECOND / 50)

/*
 * A token bucket is kept as the time at which it will be full again, in ns on the
 * clock of bpf_ktime_get_ns (GCRA, the virtual scheduling of ITU-T I.371). To take
 * tokens is to put that time off, and they come back by themselves: a bucket is one
 * word, its level exact at any moment, and an atomic add takes from it. A
 * compare-and-swap would need Linux 5.12, and a spin lock cannot be in an LRU map.
 *
 * What CPUs may do to each other's sums, as nothing is locked: those that look at
 * the same time all take the last tokens, but what is too much is owed, and the
 * rate stays what it is; and one that begins a full bucket anew (see take_tokens)
 * wipes out what others took since it looked. Either lets through a few packets more
 * than the burst, and none less.
 */
struct bucket {
	__u64 packets_full_at;
	__u64 bits_full_at;
};

struct prefix {
	__be64 address[2]; /* IPv4 as ::ffff:a.b.c.d */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct prefix);
	__type(value, struct bucket);
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bucket);
} whole_pod SEC(".maps");

/* The bucket of a prefix that was not seen, or that was forgotten, is full. */
static __always_inline struct bucket *bucket_of(const struct prefix *prefix)
{
	const struct bucket full = {};
	struct bucket *b = bpf_map_lookup_elem(&sources, prefix);

	if (b)
		return b;
	/* Another CPU may be faster: the look says so. */
	bpf_map_update_elem(&sources, prefix, &full, BPF_NOEXIST);
	return bpf_map_lookup_elem(&sources, prefix);
}

static __always_inline __u64 divide(__u64 dividend, __u64 divisor)
{
	return (dividend + divisor / 2) / divisor;
}

/* What a packet takes of a bucket and what the bucket holds, as the time in which it comes back, ns. */
struct demand {
	__u64 cost;
	__u64 size;
};

/*
 * Whole ns are within 1 % up to 20 million packets a second. The largest size,
 * 1,000,000 packets at 1 a second, is less than 2^50.
 */
static __always_inline struct demand demand_of_packet(void)
{
	__u64 cost = divide(SECOND, pps ?: DEFAULT_PPS);

	return (struct demand){
		.cost = cost,
		.size = burst ? (burst < MAX_BURST ? burst : MAX_BURST) * cost : BURST_TIME,
	};
}

/* The largest size, at 1 bit a second, is less than 2^64, and it and now are too. */
static __always_inline struct demand demand_of_bits(__u32 bytes)
{
	const __u64 burst_bits = (burst < MAX_BURST ? burst : MAX_BURST) * BURST_FRAME * 8ULL;

	return (struct demand){
		.cost = divide(bytes * 8ULL * SECOND, bps),
		.size = burst ? burst_bits * SECOND / bps : BURST_TIME,
	};
}

/*
 * What is larger than the bucket is let through by a full one, and owed: else a
 * burst smaller than a frame would let none through, ever.
 */
static __always_inline bool has_tokens(__u64 full_at, __u64 now, struct demand d)
{
	__u64 spare = d.size > d.cost ? d.size - d.cost : 0;

	return full_at <= now + spare;
}

/*
 * A bucket that is full since some time does not hold what came in meanwhile, so it
 * is begun anew. That is a plain store: were it an add of what is missing, two CPUs
 * would add it twice and the bucket be empty for as long as it was idle.
 */
static __always_inline void take_tokens(volatile __u64 *full_at, __u64 now, struct demand d)
{
	if (*full_at < now)
		*full_at = now + d.cost;
	else
		__sync_fetch_and_add(full_at, d.cost);
}

/* Whether a packet is within the limits; it is taken from the bucket if so. */
static __always_inline bool within_limits(struct bucket *b, __u32 bytes)
{
	const bool limit_bits = bps;
	const bool limit_packets = pps || !bps;
	const __u64 now = bpf_ktime_get_ns();
	struct demand packet, bits;

	if (limit_packets) {
		packet = demand_of_packet();
		if (!has_tokens(b->packets_full_at, now, packet))
			return false;
	}
	if (limit_bits) {
		bits = demand_of_bits(bytes);
		if (!has_tokens(b->bits_full_at, now, bits))
			return false;
		take_tokens(&b->bits_full_at, now, bits);
	}
	if (limit_packets)
		take_tokens(&b->packets_full_at, now, packet);
	return true;
}

/* Global, so that it is verified once: see parse.h. The address is in host order. */
__noinline int ratelimit_says(__u64 high, __u64 low, __u32 bytes)
{
	const struct prefix prefix = {.address = {bpf_cpu_to_be64(high), bpf_cpu_to_be64(low)}};
	const __u32 first = 0;
	struct bucket *b = per == pod ? bpf_map_lookup_elem(&whole_pod, &first) : bucket_of(&prefix);

	/* No room, though the map makes some by forgetting: what cannot be counted is too much. */
	return b && within_limits(b, bytes) ? XDP_PASS : XDP_DROP;
}

static __always_inline __u64 first_bits(__u64 word, __u32 bits)
{
	if (bits >= 64)
		return word;
	return bits ? word & ~0ULL << (64 - bits) : 0;
}

static __always_inline bool is_neighbour_discovery(struct frame *f, const struct ip_packet *ip)
{
	__u8 type;

	return ip->protocol == IPPROTO_ICMPV6 && !ip->later_fragment && read_icmp_type(f, &type) &&
	       resolves_neighbour(ip, type);
}

SEC("xdp.frags")
int ratelimit(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	struct link_header link;
	struct ip_packet ip = {};
	__u64 high = 0, low = 0;

	/*
	 * What cannot be read of a frame does not keep it from being counted: the
	 * addresses that were not found are all the same one, ::.
	 */
	read_ethernet(&f, ctx, &link);
	if (link.ethertype == ETH_P_ARP)
		return XDP_PASS;
	if (link.ethertype == ETH_P_IP) {
		read_ipv4(&f, &ip);
		low = first_bits(word(&ip.source[2]), 32 + ipv4_prefix);
	} else if (link.ethertype == ETH_P_IPV6) {
		if (read_ipv6(&f, ctx, &ip) && is_neighbour_discovery(&f, &ip))
			return XDP_PASS;
		high = first_bits(word(&ip.source[0]), ipv6_prefix);
		low = ipv6_prefix > 64 ? first_bits(word(&ip.source[2]), ipv6_prefix - 64) : 0;
	}
	return ratelimit_says(high, low, length_of(ctx, link.size + ip.length));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
