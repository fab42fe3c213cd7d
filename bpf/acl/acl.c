// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

//go:build ignore

#include "neighbour.h"
#include "parse.h"

enum acl_action {
	unset = 0,
	deny = 1,
	allow = 2,
} __attribute__((packed));

enum acl_protocol {
	any = 0,
	icmp = IPPROTO_ICMP,
	tcp = IPPROTO_TCP,
	udp = IPPROTO_UDP,
	icmpv6 = IPPROTO_ICMPV6,
	sctp = IPPROTO_SCTP,
} __attribute__((packed));

/* Destination ports from first to last, host order. */
struct acl_ports {
	__u16 first;
	__u16 last; /* 0: first alone */
};

/* IPv4 prefixes are those of ::ffff:a.b.c.d, 96 to 128 bits long. */
struct acl_source {
	__u32 prefixlen;
	__u8 addr[16];
};

/* Fields that are zero match everything. The order puts addr at a multiple of 8. */
struct acl_rule {
	struct acl_ports ports;
	struct acl_source source;
	enum acl_protocol protocol;
	enum acl_action action;
} __attribute__((aligned(8)));

#define RULES_A_ROUND 4
#define MAX_RULES 256

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_RULES);
	__type(key, __u32);
	__type(value, struct acl_rule);
} rules SEC(".maps");

/* What happens to a packet that no rule matches. */
const volatile enum acl_action default_action = allow;

/* A packet as the rules see it, but for its source, in one word. */
#define PROTOCOL_SHIFT 16
#define HAS_PORT (1U << 24)
#define LATER_FRAGMENT (1U << 25)

/*
 * Without branches, by masks that are all ones or 0: in a loop the verifier
 * follows each combination of them.
 */
static __always_inline __u64 ones_unless_zero(__u64 value)
{
	__s64 negative = -(__s64)value;

	/* Else clang makes a branch of it. */
	barrier_var(negative);
	return negative >> 63;
}

static __always_inline bool matches_source(const struct acl_source *source, __u64 high, __u64 low)
{
	const __be64 *addr = __builtin_assume_aligned(source->addr, 8);
	__u32 length = source->prefixlen;
	/* The word in which the prefix ends has its last length % 64 bits. */
	__u64 last = ~0ULL << (-length & 63) & ones_unless_zero(length & 63);
	__u64 has_high = ones_unless_zero(length >> 6);
	__u64 has_low = ones_unless_zero(length >> 7);

	high ^= bpf_be64_to_cpu(addr[0]);
	low ^= bpf_be64_to_cpu(addr[1]);
	return !((high & (last | has_high)) | (low & has_high & (last | has_low)));
}

static __always_inline bool matches_ports(const struct acl_rule *rule, __u32 packet)
{
	__u16 first = rule->ports.first;
	__u16 last = rule->ports.last;
	__u16 port = packet;

	if (!first && !last)
		return true;
	/*
	 * A later fragment has no ports. To allow it is safe, since nothing comes
	 * of it without the first, which has; to deny it would break datagrams
	 * to other ports.
	 */
	if (packet & LATER_FRAGMENT)
		return rule->action == allow;
	return packet & HAS_PORT && port >= first && port <= (last ?: first);
}

static __always_inline bool matches(const struct acl_rule *rule, __u64 high, __u64 low, __u32 packet)
{
	__u8 protocol = packet >> PROTOCOL_SHIFT;

	return matches_source(&rule->source, high, low) &&
	       (!rule->protocol || rule->protocol == protocol) && matches_ports(rule, packet);
}

static __always_inline bool is_unset(const struct acl_rule *rule)
{
	const __u64 *words = (const void *)rule;

	return !(words[0] | words[1] | words[2] | words[3]);
}

enum { NEXT_RULE, DENY, ALLOW };

static __always_inline __u32 default_decision(void)
{
	return default_action == allow ? ALLOW : DENY;
}

/*
 * What the RULES_A_ROUND rules from key on say. A global function of scalars is
 * verified once (see parse.h), so that the verifier goes through one round of
 * rules, not through MAX_RULES; a round a call is a compromise between its work
 * and the price of calls, most of which is returning safe from speculation.
 */
__noinline __u32 acl_round_says(__u32 key, __u64 high, __u64 low, __u32 packet)
{
	for (int i = 0; i < RULES_A_ROUND; i++, key++) {
		const struct acl_rule *rule = bpf_map_lookup_elem(&rules, &key);

		if (!rule)
			return default_decision();
		/*
		 * The first unset rule ends the list. One that only lacks its action is a
		 * mistake, and what its author meant to come of it unknown.
		 */
		if (rule->action == unset)
			return is_unset(rule) ? default_decision() : DENY;
		if (matches(rule, high, low, packet))
			return rule->action == allow ? ALLOW : DENY;
	}
	return NEXT_RULE;
}

/* The verdict of all rules and the default. Several ways lead here, so it is global too. */
__noinline int acl_says(__u64 high, __u64 low, __u32 packet)
{
	__u32 decision = NEXT_RULE;

	for (__u32 key = 0; key < MAX_RULES && decision == NEXT_RULE; key += RULES_A_ROUND)
		decision = acl_round_says(key, high, low, packet);
	if (decision == NEXT_RULE)
		decision = default_decision();
	return decision == ALLOW ? XDP_PASS : XDP_DROP;
}

/*
 * The kernel drops these too (ip6_rcv_core): they are not of the IPv4 host whose
 * rules they would match.
 */
static __always_inline bool is_mapped(const struct ip_packet *ip)
{
	return !ip->source[0] && !ip->source[1] && ip->source[2] == bpf_htonl(0xffff);
}

SEC("xdp.frags")
int acl(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	struct ip_packet ip;
	__u32 packet = 0;
	struct link_header link;

	if (!read_ethernet(&f, ctx, &link) || is_vlan(link.ethertype))
		return XDP_DROP;

	if (link.ethertype == ETH_P_ARP)
		return XDP_PASS;
	if (link.ethertype == ETH_P_IP) {
		if (!read_ipv4(&f, &ip))
			return XDP_DROP;
	} else if (link.ethertype == ETH_P_IPV6) {
		if (!read_ipv6(&f, ctx, &ip) || is_mapped(&ip))
			return XDP_DROP;
	} else {
		return default_decision() == ALLOW ? XDP_PASS : XDP_DROP;
	}

	if (ip.later_fragment) {
		packet = LATER_FRAGMENT;
	} else if (has_ports(ip.protocol)) {
		__u16 port;

		if (!read_destination_port(&f, &port))
			return XDP_DROP;
		packet = HAS_PORT | port;
	} else if (link.ethertype == ETH_P_IPV6 && ip.protocol == IPPROTO_ICMPV6) {
		__u8 type;

		if (!read_icmp_type(&f, &type))
			return XDP_DROP;
		if (resolves_neighbour(&ip, type))
			return XDP_PASS;
	}
	packet |= ip.protocol << PROTOCOL_SHIFT;
	return acl_says(word(&ip.source[0]), word(&ip.source[2]), packet);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
