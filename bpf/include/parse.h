// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/*
 * Reading a frame's headers, for the built-in programs.
 *
 * Every read_ function takes its header off the front of the frame and returns
 * false where the frame is cut short or the header is wrong; what it read until
 * then stands in its output.
 *
 * What is read is the linear part of the frame alone, so that one object does
 * for kernels from 5.10 on: bpf_xdp_load_bytes came with 5.18. In frames of
 * several buffers (xdp.frags) the headers are in the linear part as veth and
 * generic XDP build it; it is about 3,500 bytes there.
 *
 * Every load of a program is verified, which takes the kernel about a
 * microsecond an instruction, and it follows every path. So what is rare, or
 * goes round, is a global function of scalars: such a one is verified once, and
 * its caller goes on with one unknown result instead of with all there can be.
 */
#ifndef XDP_CHAIN_PARSE_H
#define XDP_CHAIN_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* 802.1ad has two tags; what has more is not read. */
#define MAX_VLAN_TAGS 2

/* RFC 8200 recommends six different ones at most. */
#define MAX_IPV6_EXTENSIONS 8

/* How far they may reach into the frame; one alone has up to 2,048 bytes. */
#define MAX_IPV6_OFFSET 4096

/* What has not been read of a frame. */
struct frame {
	void *next;
	void *end;
};

static __always_inline struct frame frame_of(const struct xdp_md *ctx)
{
	return (struct frame){
		.next = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};
}

/* Takes size bytes, NULL where there are fewer. */
static __always_inline void *take(struct frame *f, __u32 size)
{
	void *header = f->next;

	if (header + size > f->end)
		return NULL;
	f->next = header + size;
	return header;
}

/*
 * Goes over size bytes; false where there are fewer, or where size is over limit.
 *
 * The barriers keep clang from testing something else than what it adds, and from
 * adding anew for each use: the verifier would not see that it is the same.
 */
static __always_inline bool skip(struct frame *f, __u32 size, __u32 limit)
{
	barrier_var(size);
	if (size > limit)
		return false;
	f->next += size;
	barrier_var(f->next);
	return f->next <= f->end;
}

static __always_inline bool is_vlan(__u16 ethertype)
{
	return ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD;
}

/* What follows the EtherType of a tagged frame (IEEE 802.1Q). */
struct vlan_tag {
	__be16 tci;
	__be16 ethertype;
};

/*
 * Goes through up to MAX_VLAN_TAGS tags behind the Ethernet header. Returns the
 * EtherType behind them, host order, in the lower 16 bits and the offset behind
 * them above; the offset is 0 where the frame ends inside of a tag.
 */
__noinline __u32 skip_vlan_tags(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	const struct ethhdr *eth = take(&f, sizeof(*eth));
	__u32 offset = sizeof(*eth);
	__u16 ethertype;

	if (!eth)
		return 0;
	ethertype = bpf_ntohs(eth->h_proto);
	for (int i = 0; i < MAX_VLAN_TAGS && is_vlan(ethertype); i++) {
		const struct vlan_tag *tag = take(&f, sizeof(*tag));

		if (!tag)
			return ethertype;
		ethertype = bpf_ntohs(tag->ethertype);
		offset += sizeof(*tag);
	}
	return offset << 16 | ethertype;
}

/* The headers before a packet: Ethernet's and up to MAX_VLAN_TAGS tags. */
struct link_header {
	__u16 size;
	/*
	 * What follows them, host order. It is a VLAN's own where there are more
	 * tags or the frame is cut inside of one, and below ETH_P_802_3_MIN it is
	 * the length of an 802.3 frame.
	 */
	__u16 ethertype;
};

static __always_inline bool read_ethernet(struct frame *f, struct xdp_md *ctx, struct link_header *link)
{
	const struct ethhdr *eth = take(f, sizeof(*eth));
	__u32 tagged;

	link->size = sizeof(*eth);
	link->ethertype = 0;
	if (!eth)
		return false;
	link->ethertype = bpf_ntohs(eth->h_proto);
	if (!is_vlan(link->ethertype))
		return true;

	tagged = skip_vlan_tags(ctx);
	link->size = tagged >> 16;
	link->ethertype = tagged;
	return skip(f, link->size - sizeof(*eth), MAX_VLAN_TAGS * sizeof(struct vlan_tag));
}

/* What an IPv4 or IPv6 packet says of itself. */
struct ip_packet {
	__be32 source[4];    /* IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2) */
	__u32 length;        /* of header and payload; 0: more than 16 bits hold */
	__u8 protocol;       /* what follows the options or extension headers */
	__u8 hop_limit;      /* or time to live */
	bool later_fragment; /* not the first: the protocol's header is elsewhere */
};

static __always_inline bool read_ipv4(struct frame *f, struct ip_packet *ip)
{
	const struct iphdr *header = take(f, sizeof(*header));

	if (!header || header->version != 4)
		return false;
	ip->source[0] = 0;
	ip->source[1] = 0;
	ip->source[2] = bpf_htonl(0xffff);
	ip->source[3] = header->saddr;
	ip->length = bpf_ntohs(header->tot_len);
	ip->protocol = header->protocol;
	ip->hop_limit = header->ttl;
	ip->later_fragment = header->frag_off & bpf_htons(0x1fff);
	/* Up to 40 bytes of options. An ihl below 5 wraps around and is over that. */
	return skip(f, (header->ihl - 5u) * 4, 40);
}

/*
 * The first 8 bytes of an extension header: all have at least that, and the
 * fragment header (RFC 8200, 4.5) has no more.
 */
struct ipv6_extension {
	__u8 next_header;
	__u8 length; /* reserved in the fragment header */
	__be16 fragment_offset;
	__be32 rest;
};

/* ESP is none: it hides what follows it, so it stands for the upper layer. */
static __always_inline bool is_ipv6_extension(__u32 protocol)
{
	const __u64 extensions = 1ULL << IPPROTO_HOPOPTS | 1ULL << IPPROTO_ROUTING |
				 1ULL << IPPROTO_FRAGMENT | 1ULL << IPPROTO_AH |
				 1ULL << IPPROTO_DSTOPTS;

	return protocol < 64 && extensions >> protocol & 1;
}

#define LATER_IPV6_FRAGMENT (1U << 31)

/*
 * Reads one extension header, of the given protocol, at that offset. Returns the
 * protocol of what follows it in the lower 8 bits, the offset of that above, and
 * LATER_IPV6_FRAGMENT where it is the payload of one; 0 where the frame ends
 * before.
 */
__noinline __u32 read_ipv6_extension(struct xdp_md *ctx, __u32 offset, __u32 protocol)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	const struct ipv6_extension *header;
	__u32 flags = 0;

	if (offset > MAX_IPV6_OFFSET)
		return 0;
	header = data + offset;
	if ((const void *)(header + 1) > end)
		return 0;

	if (protocol == IPPROTO_FRAGMENT) {
		offset += sizeof(*header);
		/* The offset stands above three bits of flags. */
		if (header->fragment_offset & bpf_htons(0xfff8))
			flags = LATER_IPV6_FRAGMENT;
	} else if (protocol == IPPROTO_AH) {
		offset += (header->length + 2) * 4; /* RFC 4302, 2.2 */
	} else {
		offset += (header->length + 1) * 8;
	}
	return flags | offset << 8 | header->next_header;
}

/*
 * Goes through the extension headers from offset on, the first of which is of
 * the given protocol, to the upper layer's, or to the payload of a later
 * fragment. Returns what read_ipv6_extension does of the last, and 0 where
 * there are too many as well.
 */
__noinline __u32 skip_ipv6_extensions(struct xdp_md *ctx, __u32 offset, __u32 protocol)
{
	for (int i = 0; i < MAX_IPV6_EXTENSIONS; i++) {
		__u32 next = read_ipv6_extension(ctx, offset, protocol);

		protocol = next & 0xff;
		offset = next >> 8 & 0xffff;
		if (!next || next & LATER_IPV6_FRAGMENT || !is_ipv6_extension(protocol))
			return next;
	}
	return 0;
}

static __always_inline bool read_ipv6_extensions(struct frame *f, struct xdp_md *ctx, struct ip_packet *ip)
{
	__u32 start = f->next - (void *)(long)ctx->data;
	__u32 upper = skip_ipv6_extensions(ctx, start, ip->protocol);

	if (!upper)
		return false;
	ip->protocol = upper;
	ip->later_fragment = upper & LATER_IPV6_FRAGMENT;
	f->next = (void *)(long)ctx->data;
	return skip(f, upper >> 8 & 0xffff, MAX_IPV6_OFFSET);
}

static __always_inline bool read_ipv6(struct frame *f, struct xdp_md *ctx, struct ip_packet *ip)
{
	const struct ipv6hdr *header = take(f, sizeof(*header));

	if (!header || header->version != 6)
		return false;
	ip->source[0] = header->saddr.in6_u.u6_addr32[0];
	ip->source[1] = header->saddr.in6_u.u6_addr32[1];
	ip->source[2] = header->saddr.in6_u.u6_addr32[2];
	ip->source[3] = header->saddr.in6_u.u6_addr32[3];
	ip->length = header->payload_len ? bpf_ntohs(header->payload_len) + sizeof(*header) : 0;
	ip->protocol = header->nexthdr;
	ip->hop_limit = header->hop_limit;
	ip->later_fragment = false;
	return !is_ipv6_extension(ip->protocol) || read_ipv6_extensions(f, ctx, ip);
}

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

/* The first bytes of TCP, UDP and SCTP alike. */
struct ports {
	__be16 source;
	__be16 destination;
};

/* Reads the destination port, host order, of a protocol that has_ports. */
static __always_inline bool read_destination_port(struct frame *f, __u16 *port)
{
	const struct ports *ports = take(f, sizeof(*ports));

	if (!ports)
		return false;
	*port = bpf_ntohs(ports->destination);
	return true;
}

/* Reads the type of an ICMP or ICMPv6 message. */
static __always_inline bool read_icmp_type(struct frame *f, __u8 *type)
{
	const __u8 *header = take(f, sizeof(*header));

	if (!header)
		return false;
	*type = *header;
	return true;
}

/* Half an IPv6 address, host order. */
static __always_inline __u64 word(const __be32 *address)
{
	return (__u64)bpf_ntohl(address[0]) << 32 | bpf_ntohl(address[1]);
}

#endif
