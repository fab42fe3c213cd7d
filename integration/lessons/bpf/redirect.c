// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// packet03-redirecting: frames leave by another interface, which a global variable names,
// a devmap, or the kernel's routing table.

#include "parse.h"

/* Of AF_INET and AF_INET6 the kernel's headers for programs say nothing. */
#define FAMILY_IPV4 2
#define FAMILY_IPV6 10

/* Where to_interface sends frames, and the stations between which they go there. */
const volatile __u32 ifindex = 0;
const volatile __u8 source[ETH_ALEN] = {};
const volatile __u8 destination[ETH_ALEN] = {};

SEC("xdp")
int to_interface(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	struct ethhdr *eth = take(&f, sizeof(*eth));

	if (!eth || eth->h_dest[0] & 1)
		return XDP_PASS; /* neighbours are found by broadcast and multicast */
	for (int i = 0; i < ETH_ALEN; i++) {
		eth->h_dest[i] = destination[i];
		eth->h_source[i] = source[i];
	}
	return bpf_redirect(ifindex, 0);
}

/* Where to_port sends frames: entry 0. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} ports SEC(".maps");

/* The station that gets what a station sends. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u8[ETH_ALEN]);
	__type(value, __u8[ETH_ALEN]);
} stations SEC(".maps");

SEC("xdp")
int to_port(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	struct ethhdr *eth = take(&f, sizeof(*eth));
	const __u8 *partner;

	if (!eth)
		return XDP_PASS;
	partner = bpf_map_lookup_elem(&stations, eth->h_source);
	if (!partner)
		return XDP_PASS;
	__builtin_memcpy(eth->h_dest, partner, ETH_ALEN);
	/* Without an entry the frame passes. */
	return bpf_redirect_map(&ports, 0, XDP_PASS);
}

/* Fills in what the routing table is asked; false where it is not asked. */
static __always_inline bool ask_ipv4(struct bpf_fib_lookup *route, const struct iphdr *ip)
{
	if (!ip || ip->ttl <= 1)
		return false;
	route->family = FAMILY_IPV4;
	route->tos = ip->tos;
	route->l4_protocol = ip->protocol;
	route->tot_len = bpf_ntohs(ip->tot_len);
	route->ipv4_src = ip->saddr;
	route->ipv4_dst = ip->daddr;
	return true;
}

static __always_inline bool ask_ipv6(struct bpf_fib_lookup *route, const struct ipv6hdr *ip)
{
	if (!ip || ip->hop_limit <= 1)
		return false;
	route->family = FAMILY_IPV6;
	route->flowinfo = *(const __be32 *)ip & bpf_htonl(0x0fffffff);
	route->l4_protocol = ip->nexthdr;
	route->tot_len = bpf_ntohs(ip->payload_len);
	__builtin_memcpy(route->ipv6_src, &ip->saddr, sizeof(ip->saddr));
	__builtin_memcpy(route->ipv6_dst, &ip->daddr, sizeof(ip->daddr));
	return true;
}

/* One router less (RFC 1141). */
static __always_inline void lower_ttl(struct iphdr *ip)
{
	__u32 sum = ip->check + bpf_htons(0x0100);

	ip->check = sum + (sum >= 0xffff);
	ip->ttl--;
}

SEC("xdp")
int by_route(struct xdp_md *ctx)
{
	struct bpf_fib_lookup route = { .ifindex = ctx->ingress_ifindex };
	struct frame f = frame_of(ctx);
	struct ethhdr *eth = take(&f, sizeof(*eth));
	struct ipv6hdr *ip6 = NULL;
	struct iphdr *ip = NULL;

	if (!eth)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP) && !ask_ipv4(&route, ip = take(&f, sizeof(*ip))))
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IPV6) && !ask_ipv6(&route, ip6 = take(&f, sizeof(*ip6))))
		return XDP_PASS;

	switch (route.family ? bpf_fib_lookup(ctx, &route, sizeof(route), 0) : BPF_FIB_LKUP_RET_NOT_FWDED) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		break;
	case BPF_FIB_LKUP_RET_BLACKHOLE:
	case BPF_FIB_LKUP_RET_UNREACHABLE:
	case BPF_FIB_LKUP_RET_PROHIBIT:
		return XDP_DROP;
	default:
		return XDP_PASS; /* to this host, or nothing that XDP can do */
	}
	if (ip)
		lower_ttl(ip);
	if (ip6)
		ip6->hop_limit--;
	__builtin_memcpy(eth->h_dest, route.dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, route.smac, ETH_ALEN);
	return bpf_redirect(route.ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
