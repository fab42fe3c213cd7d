// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

//go:build ignore

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

#define RULES_A_ROUND 16
#define MAX_RULES (RULES_A_ROUND * RULES_A_ROUND)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_RULES);
	__type(key, __u32);
	__type(value, struct acl_rule);
} rules SEC(".maps");

/* What happens to a packet that no rule matches. */
const volatile enum acl_action default_action = allow;

/* A packet as the rules see it, but for its source, in one word: port, protocol, flags. */
#define PROTOCOL_SHIFT 16
#define HAS_PORT (1U << 24)
#define LATER_FRAGMENT (1U << 25)

/* Ones where a prefix of that length has its bits in the upper of two words. */
static __always_inline __u64 prefix_mask(__u32 length)
{
	return length < 64 ? ~(~0ULL >> length) : ~0ULL;
}

static __always_inline bool matches_source(const struct acl_source *source, __u64 high, __u64 low)
{
	const __be64 *addr = __builtin_assume_aligned(source->addr, 8);
	__u32 length = source->prefixlen;

	if ((high ^ bpf_be64_to_cpu(addr[0])) & prefix_mask(length))
		return false;
	return length <= 64 || !((low ^ bpf_be64_to_cpu(addr[1])) & prefix_mask(length - 64));
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
 * What one rule says. A global function of scalars is verified once (see
 * parse.h), and so is each of the two below: the verifier goes through one rule and
 * twice RULES_A_ROUND calls instead of MAX_RULES rules.
 */
__noinline __u32 acl_rule_says(__u32 key, __u64 high, __u64 low, __u32 packet)
{
	const struct acl_rule *rule = bpf_map_lookup_elem(&rules, &key);
	__u8 protocol = packet >> PROTOCOL_SHIFT;

	/* The first unset rule ends the list. */
	if (!rule || is_unset(rule))
		return default_decision();
	if ((rule->protocol && rule->protocol != protocol) ||
	    !matches_source(&rule->source, high, low) || !matches_ports(rule, packet))
		return NEXT_RULE;
	/* One that only lacks its action denies. */
	return rule->action == allow ? ALLOW : DENY;
}

/* What the RULES_A_ROUND rules from key on say. */
__noinline __u32 acl_round_says(__u32 key, __u64 high, __u64 low, __u32 packet)
{
	for (int i = 0; i < RULES_A_ROUND; i++) {
		__u32 decision = acl_rule_says(key + i, high, low, packet);

		if (decision != NEXT_RULE)
			return decision;
	}
	return NEXT_RULE;
}

/* What all rules and the default say: an XDP verdict. */
__noinline int acl_says(__u64 high, __u64 low, __u32 packet)
{
	__u32 decision = NEXT_RULE;

	for (__u32 key = 0; key < MAX_RULES && decision == NEXT_RULE; key += RULES_A_ROUND)
		decision = acl_round_says(key, high, low, packet);
	if (decision == NEXT_RULE)
		decision = default_decision();
	return decision == ALLOW ? XDP_PASS : XDP_DROP;
}

static __always_inline __u64 word(const __be32 *address)
{
	return (__u64)bpf_ntohl(address[0]) << 32 | bpf_ntohl(address[1]);
}

/*
 * The kernel drops these too (ip6_rcv_core): they are not of the IPv4 host whose
 * rules they would match.
 */
static __always_inline bool is_mapped(const struct ip_packet *ip)
{
	return !ip->source[0] && !ip->source[1] && ip->source[2] == bpf_htonl(0xffff);
}

#define NEIGHBOUR_SOLICITATION 135
#define NEIGHBOUR_ADVERTISEMENT 136

/* What ARP is to IPv4. A hop limit of 255 comes from this link alone (RFC 4861, 7.1). */
static __always_inline bool resolves_neighbour(const struct ip_packet *ip, __u8 type)
{
	return ip->hop_limit == 255 && (type == NEIGHBOUR_SOLICITATION || type == NEIGHBOUR_ADVERTISEMENT);
}

SEC("xdp.frags")
int acl(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	struct ip_packet ip;
	__u32 packet = 0;
	__u16 ethertype;

	if (!read_ethernet(&f, ctx, &ethertype) || is_vlan(ethertype))
		return XDP_DROP;

	if (ethertype == ETH_P_ARP)
		return XDP_PASS;
	if (ethertype == ETH_P_IP) {
		if (!read_ipv4(&f, &ip))
			return XDP_DROP;
	} else if (ethertype == ETH_P_IPV6) {
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
	} else if (ethertype == ETH_P_IPV6 && ip.protocol == IPPROTO_ICMPV6) {
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
