// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// packet02-rewriting: TCP and UDP go to the port below the one they were sent to.

#include <linux/tcp.h>
#include <linux/udp.h>

#include "checksum.h"
#include "parse.h"

static __always_inline __be16 below(__be16 port) { return bpf_htons(bpf_ntohs(port) - 1); }

static __always_inline void lower_tcp(struct tcphdr *tcp)
{
	__be16 old = tcp->dest;

	tcp->dest = below(old);
	tcp->check = change_word(tcp->check, old, tcp->dest);
}

/* RFC 768: a checksum of 0 is none, and one that comes out as 0 is written as all ones. */
static __always_inline void lower_udp(struct udphdr *udp)
{
	__be16 old = udp->dest;

	udp->dest = below(old);
	if (!udp->check)
		return;
	udp->check = change_word(udp->check, old, udp->dest);
	if (!udp->check)
		udp->check = 0xffff;
}

/* Goes to the upper layer's header; IPPROTO_NONE where there is none to be changed. */
static __always_inline __u8 find_transport(struct frame *f, struct xdp_md *ctx)
{
	struct link_header link;
	struct ip_packet ip = {};
	bool found = false;

	if (!read_ethernet(f, ctx, &link))
		return IPPROTO_NONE;
	if (link.ethertype == ETH_P_IPV6)
		found = read_ipv6(f, ctx, &ip);
	else if (link.ethertype == ETH_P_IP)
		found = read_ipv4(f, &ip);
	return found && !ip.later_fragment ? ip.protocol : IPPROTO_NONE;
}

SEC("xdp.frags")
int lower_port(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	__u8 protocol = find_transport(&f, ctx);

	if (protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = take(&f, sizeof(*tcp));

		if (tcp)
			lower_tcp(tcp);
	} else if (protocol == IPPROTO_UDP) {
		struct udphdr *udp = take(&f, sizeof(*udp));

		if (udp)
			lower_udp(udp);
	}
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
