// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// packet01-parsing: every other echo request is dropped, behind VLAN tags as well.

#include "parse.h"

/* How an ICMP and an ICMPv6 echo begins (RFC 792, RFC 4443). */
struct echo {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be16 identifier;
	__be16 sequence;
};

#define ECHO_REQUEST 8
#define ECHO_REQUEST6 128

/* The type of echo requests that a packet can be, 0 where it can be none. */
static __always_inline __u8 read_request_type(struct frame *f, struct xdp_md *ctx)
{
	struct link_header link;
	struct ip_packet ip = {};

	if (!read_ethernet(f, ctx, &link))
		return 0;
	if (link.ethertype == ETH_P_IPV6 && read_ipv6(f, ctx, &ip) && !ip.later_fragment && ip.protocol == IPPROTO_ICMPV6)
		return ECHO_REQUEST6;
	if (link.ethertype == ETH_P_IP && read_ipv4(f, &ip) && !ip.later_fragment && ip.protocol == IPPROTO_ICMP)
		return ECHO_REQUEST;
	return 0;
}

SEC("xdp.frags")
int drop_odd_echoes(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	__u8 request = read_request_type(&f, ctx);
	const struct echo *echo = take(&f, sizeof(*echo));

	if (!request || !echo || echo->type != request)
		return XDP_PASS;
	return bpf_ntohs(echo->sequence) & 1 ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
