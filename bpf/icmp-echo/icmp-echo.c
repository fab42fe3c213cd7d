// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

//go:build ignore

#include "length.h"
#include "parse.h"

/*
 * What is answered for: frames to this hardware address, packets to these
 * addresses. All zeros: to any one.
 */
const volatile __u8 mac[ETH_ALEN] = {};
const volatile __be32 address = 0;
const volatile __be32 address6[4] = {};

/* How an ICMP and an ICMPv6 echo begins (RFC 792, RFC 4443). Its data is not read. */
struct echo {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be16 identifier;
	__be16 sequence;
};

/*
 * What a packet of an echo begins with, which is taken in one piece: with a bounds check
 * for each header, Linux 5.10 takes one of them to fail always.
 */
struct echo4 {
	struct iphdr ip;
	struct echo echo;
};

struct echo6 {
	struct ipv6hdr ip;
	struct echo echo;
};

#define ECHO_REPLY 0
#define ECHO_REQUEST 8
#define ECHO_REQUEST6 128
#define ECHO_REPLY6 129

/* The hop limit of an answer, as the kernel's own (IPDEFTTL, IPV6_DEFAULT_HOPLIMIT). */
#define HOP_LIMIT 64

/* The checksum of what had the word old where it has new now (RFC 1624, equation 3). */
static __always_inline __sum16 with_word(__sum16 checksum, __be16 old, __be16 new)
{
	__u32 sum = (__u16)~checksum + (__u16)~old + (__u32)new;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The type and the code are one word of the checksum; the code is 0. */
static __always_inline void answer_echo(struct echo *echo, __u8 reply)
{
	echo->checksum = with_word(echo->checksum, bpf_htons(echo->type << 8), bpf_htons(reply << 8));
	echo->type = reply;
}

static __always_inline bool is_station(const __u8 *address)
{
	const __u16 *words = (const void *)address;

	return !(address[0] & 1) && (words[0] | words[1] | words[2]);
}

/* All zeros accept any one. */
static __always_inline bool accepts_mac(const __u8 *destination)
{
	__u8 set = 0, differs = 0;

	for (int i = 0; i < ETH_ALEN; i++) {
		__u8 byte = mac[i];

		set |= byte;
		differs |= byte ^ destination[i];
	}
	return !set || !differs;
}

static __always_inline bool accepts_address6(const __be32 *destination)
{
	__be32 set = 0, differs = 0;

	for (int i = 0; i < 4; i++) {
		__be32 word = address6[i];

		set |= word;
		differs |= word ^ destination[i];
	}
	return !set || !differs;
}

static __always_inline void swap_stations(struct ethhdr *eth)
{
	__u8 asked[ETH_ALEN];

	__builtin_memcpy(asked, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, asked, ETH_ALEN);
}

/* No network 0, loopback, multicast, nor what lies above, broadcast included. */
static __always_inline bool is_host(__be32 address)
{
	__u8 network = bpf_ntohl(address) >> 24;

	return network && network != 127 && network < 224;
}

static __always_inline bool is_request(const struct echo *echo, __u8 request)
{
	return echo->type == request && !echo->code;
}

/* A packet that the frame does not hold whole is left to the kernel, which drops it. */
static __always_inline bool is_whole(const struct xdp_md *ctx, __u64 said)
{
	return length_of(ctx, said) >= said;
}

/* Answers an IPv4 echo request in its place; false where that is none to be answered. */
static __always_inline bool answer4(const struct xdp_md *ctx, struct frame *f)
{
	struct echo4 *packet = take(f, sizeof(*packet));
	struct iphdr *ip = &packet->ip;
	__be32 asked;

	/* Options are the kernel's to obey, and so are fragments to put together. */
	if (!packet || ip->version != 4 || ip->ihl != 5 || ip->frag_off & bpf_htons(0x3fff))
		return false;
	if (ip->protocol != IPPROTO_ICMP || !is_request(&packet->echo, ECHO_REQUEST))
		return false;
	if (bpf_ntohs(ip->tot_len) < sizeof(*packet) ||
	    !is_whole(ctx, sizeof(struct ethhdr) + bpf_ntohs(ip->tot_len)))
		return false;
	if (!is_host(ip->saddr) || !is_host(ip->daddr) || (address && address != ip->daddr))
		return false;

	asked = ip->daddr;
	ip->daddr = ip->saddr;
	ip->saddr = asked;
	ip->check = with_word(ip->check, bpf_htons(ip->ttl << 8 | IPPROTO_ICMP), bpf_htons(HOP_LIMIT << 8 | IPPROTO_ICMP));
	ip->ttl = HOP_LIMIT;
	answer_echo(&packet->echo, ECHO_REPLY);
	return true;
}

/* No multicast, nor what has 64 zeros in front: unspecified, loopback, IPv4-mapped. */
static __always_inline bool is_host6(const __be32 *address)
{
	return (bpf_ntohl(address[0]) >> 24) != 0xff && (address[0] | address[1]);
}

static __always_inline bool answer6(const struct xdp_md *ctx, struct frame *f)
{
	struct echo6 *packet = take(f, sizeof(*packet));
	struct ipv6hdr *ip = &packet->ip;
	struct in6_addr asked;

	if (!packet || ip->version != 6 || ip->nexthdr != IPPROTO_ICMPV6 ||
	    !is_request(&packet->echo, ECHO_REQUEST6))
		return false;
	if (bpf_ntohs(ip->payload_len) < sizeof(packet->echo) ||
	    !is_whole(ctx, sizeof(struct ethhdr) + sizeof(*ip) + bpf_ntohs(ip->payload_len)))
		return false;
	if (!is_host6(ip->saddr.in6_u.u6_addr32) || !is_host6(ip->daddr.in6_u.u6_addr32) ||
	    !accepts_address6(ip->daddr.in6_u.u6_addr32))
		return false;

	/* The checksum holds both addresses, in whichever order, and no hop limit. */
	asked = ip->daddr;
	ip->daddr = ip->saddr;
	ip->saddr = asked;
	ip->hop_limit = HOP_LIMIT;
	answer_echo(&packet->echo, ECHO_REPLY6);
	return true;
}

SEC("xdp.frags")
int icmp_echo(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	struct ethhdr *eth = take(&f, sizeof(*eth));
	bool answered = false;

	if (!eth || !is_station(eth->h_dest) || !is_station(eth->h_source) || !accepts_mac(eth->h_dest))
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		answered = answer4(ctx, &f);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		answered = answer6(ctx, &f);
	if (!answered)
		return XDP_PASS;
	swap_stations(eth);
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
