// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// packet03-redirecting: echo requests are answered where they are received (XDP_TX).

#include "checksum.h"
#include "parse.h"

struct echo {
	__u8 type;
	__u8 code;
	__sum16 checksum;
};

#define ECHO_REPLY 0
#define ECHO_REQUEST 8
#define ECHO_REQUEST6 128
#define ECHO_REPLY6 129

/* Exchanges n words of two addresses; which is the source does not matter. */
static __always_inline void swap(__u16 *a, __u16 *b, int n)
{
	for (int i = 0; i < n; i++) {
		__u16 word = a[i];

		a[i] = b[i];
		b[i] = word;
	}
}

static __always_inline bool answer(struct echo *echo, __u8 request, __u8 reply)
{
	if (!echo || echo->type != request || echo->code)
		return false;
	/* The type and the code are one word of the checksum. */
	echo->checksum = change_word(echo->checksum, bpf_htons(request << 8), bpf_htons(reply << 8));
	echo->type = reply;
	return true;
}

static __always_inline bool answer_ipv4(struct frame *f)
{
	struct iphdr *ip = take(f, sizeof(*ip));

	/* Without options, and no fragment: what ping sends. */
	if (!ip || ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_ICMP || ip->frag_off & bpf_htons(0x3fff))
		return false;
	if (!answer(take(f, sizeof(struct echo)), ECHO_REQUEST, ECHO_REPLY))
		return false;
	/* The sum of the header stays what it is. */
	swap((__u16 *)&ip->saddr, (__u16 *)&ip->daddr, sizeof(ip->saddr) / 2);
	return true;
}

static __always_inline bool answer_ipv6(struct frame *f)
{
	struct ipv6hdr *ip = take(f, sizeof(*ip));

	if (!ip || ip->version != 6 || ip->nexthdr != IPPROTO_ICMPV6)
		return false;
	if (!answer(take(f, sizeof(struct echo)), ECHO_REQUEST6, ECHO_REPLY6))
		return false;
	swap((__u16 *)&ip->saddr, (__u16 *)&ip->daddr, sizeof(ip->saddr) / 2);
	return true;
}

SEC("xdp")
int answer_echoes(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	struct ethhdr *eth = take(&f, sizeof(*eth));
	bool answered = false;

	if (!eth)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		answered = answer_ipv4(&f);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		answered = answer_ipv6(&f);
	if (!answered)
		return XDP_PASS;
	swap((__u16 *)eth->h_dest, (__u16 *)eth->h_source, ETH_ALEN / 2);
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
