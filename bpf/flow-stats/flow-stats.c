// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

//go:build ignore

#include "length.h"
#include "parse.h"

struct flow {
	__be32 source[4]; /* IPv4 as ::ffff:a.b.c.d */
	__be32 destination[4];
	__be16 source_port; /* both 0 where the protocol has none */
	__be16 destination_port;
	__u8 protocol;
	__u8 ip_version;     /* 4 or 6 */
	__u8 later_fragment; /* 1: of the protocol's fragments, which have no ports */
	__u8 unused;         /* 0; a key has no padding of its own */
};

struct flow_traffic {
	__u64 packets;
	__u64 bytes;
	__u64 first_seen; /* CLOCK_BOOTTIME, ns */
	__u64 last_seen;
};

/*
 * One value for all CPUs, with atomic adds. The kernel makes an LRU map whole, at the
 * pod's start: this one in 0.2 ms and 560 kB, one of per-CPU values in 3.5 ms for two
 * CPUs and as many times as large as there are CPUs. Packets pay the same for both.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct flow);
	__type(value, struct flow_traffic);
} flows SEC(".maps");

enum total {
	FLOWS = 0, /* of a flow, be it one in the map above or forgotten since */
	NOT_IP = 1,
	UNREADABLE = 2, /* IP, and no telling of which flow */
};

#define TOTALS 3

struct traffic {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TOTALS);
	__type(key, __u32); /* enum total: the kernel takes no enum here */
	__type(value, struct traffic);
} totals SEC(".maps");

/* Behind Ethernet's header and the tags. */
#define MAX_IP_OFFSET (sizeof(struct ethhdr) + MAX_VLAN_TAGS * sizeof(struct vlan_tag))

static __always_inline void count_total(__u32 total, __u64 bytes)
{
	struct traffic *t = bpf_map_lookup_elem(&totals, &total);

	if (t) {
		/* Per CPU, and XDP does not interrupt itself: no atomics. */
		t->packets++;
		t->bytes += bytes;
	}
}

/*
 * The kernel may give the entry to another flow meanwhile, which would then count this
 * packet. But the look has marked it as in use, so it is not taken while there are
 * others: a map for a handful of flows may see that, one for thousands does not.
 */
static __always_inline void add(struct flow_traffic *t, __u64 bytes, __u64 now)
{
	__sync_fetch_and_add(&t->packets, 1);
	__sync_fetch_and_add(&t->bytes, bytes);
	/* Of two CPUs at once either will do: they are as many ns apart as this takes. */
	t->last_seen = now;
}

static __always_inline void count_flow(const struct flow *flow, __u64 bytes)
{
	__u64 now = bpf_ktime_get_boot_ns();
	struct flow_traffic *t = bpf_map_lookup_elem(&flows, flow);

	if (!t) {
		const struct flow_traffic first = {
			.packets = 1, .bytes = bytes, .first_seen = now, .last_seen = now,
		};

		if (!bpf_map_update_elem(&flows, flow, &first, BPF_NOEXIST))
			return;
		/* Another CPU was faster, or the kernel found no entry to take. */
		t = bpf_map_lookup_elem(&flows, flow);
	}
	if (t)
		add(t, bytes, now);
}

/* What the headers say of a packet beside addresses and ports, in one word. */
#define PROTOCOL 0xff
#define IS_IPV4 (1U << 8)
#define IS_IPV6 (1U << 9)
#define IS_BROKEN (1U << 10)
#define IS_LATER_FRAGMENT (1U << 11)

static __always_inline bool read_ipv4_addresses(struct frame *f, struct flow *flow)
{
	const struct iphdr *header = take(f, sizeof(*header));

	if (!header)
		return false;
	flow->source[2] = bpf_htonl(0xffff);
	flow->source[3] = header->saddr;
	flow->destination[2] = bpf_htonl(0xffff);
	flow->destination[3] = header->daddr;
	flow->ip_version = 4;
	return true;
}

static __always_inline bool read_ipv6_addresses(struct frame *f, struct flow *flow)
{
	const struct ipv6hdr *header = take(f, sizeof(*header));

	if (!header)
		return false;
	__builtin_memcpy(flow->source, &header->saddr, sizeof(flow->source));
	__builtin_memcpy(flow->destination, &header->daddr, sizeof(flow->destination));
	flow->ip_version = 6;
	return true;
}

static __always_inline bool read_addresses(struct xdp_md *ctx, __u32 network, __u32 said, struct flow *flow)
{
	struct frame f = frame_of(ctx);

	if (!skip(&f, network, MAX_IP_OFFSET))
		return false;
	return said & IS_IPV6 ? read_ipv6_addresses(&f, flow) : read_ipv4_addresses(&f, flow);
}

static __always_inline bool read_ports(struct xdp_md *ctx, __u32 upper, __u32 said, struct flow *flow)
{
	struct frame f = frame_of(ctx);
	const struct ports *ports;

	if (!has_ports(flow->protocol))
		return true;
	flow->later_fragment = !!(said & IS_LATER_FRAGMENT);
	if (flow->later_fragment)
		return true;
	if (!skip(&f, upper, MAX_IPV6_OFFSET) || !(ports = take(&f, sizeof(*ports))))
		return false;
	flow->source_port = ports->source;
	flow->destination_port = ports->destination;
	return true;
}

/*
 * Counts a frame whose headers have been read: IP's is at offset network, the
 * protocol's at offset upper, and length is what they give for the frame. Global, of
 * scalars, and reading again what does not fit in them, so that it is verified once
 * and not for each way in which headers can stand: see parse.h.
 */
__noinline int count_packet(struct xdp_md *ctx, __u32 network, __u32 upper, __u32 said, __u32 length)
{
	struct flow flow = {.protocol = said & PROTOCOL};
	__u64 bytes = length_of(ctx, length);
	enum total total = UNREADABLE;

	if (!(said & (IS_IPV4 | IS_IPV6))) {
		total = NOT_IP;
	} else if (!(said & IS_BROKEN) && read_addresses(ctx, network, said, &flow) &&
		   read_ports(ctx, upper, said, &flow)) {
		total = FLOWS;
		count_flow(&flow, bytes);
	}
	count_total(total, bytes);
	return 0;
}

SEC("xdp.frags")
int flow_stats(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	struct link_header link;
	struct ip_packet ip = {};
	__u32 said = 0;
	bool whole = true;

	read_ethernet(&f, ctx, &link);
	if (link.ethertype == ETH_P_IP) {
		said = IS_IPV4;
		whole = read_ipv4(&f, &ip);
	} else if (link.ethertype == ETH_P_IPV6) {
		said = IS_IPV6;
		whole = read_ipv6(&f, ctx, &ip);
	}
	if (!whole)
		said |= IS_BROKEN;
	if (ip.later_fragment)
		said |= IS_LATER_FRAGMENT;
	count_packet(ctx, link.size, f.next - (void *)(long)ctx->data, said | ip.protocol, link.size + ip.length);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
