// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/*
 * A program of one's own, as conf/20-own-program.conflist puts it into a chain: it
 * drops UDP over IPv4 with more payload than max_payload bytes and leaves
 * everything else to the members after it.
 *
 * It needs nothing of xdp-chain's, and loads with any XDP loader:
 *
 *   clang -target bpf -O2 -g -I/usr/include/$(uname -m)-linux-gnu -c udp_limit.c -o udp_limit.o
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* "globals": {"max_payload": ...} in the conflist sets this. */
const volatile __u16 max_payload = 1400;

SEC("xdp.frags")
int udp_limit(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP)
		return XDP_PASS;
	/* Only the first fragment of a packet has the UDP header. */
	if (ip->ihl < 5 || ip->frag_off & bpf_htons(0x1fff))
		return XDP_PASS;
	udp = (void *)ip + ip->ihl * 4;
	if ((void *)(udp + 1) > end)
		return XDP_PASS;
	if (bpf_ntohs(udp->len) > max_payload + sizeof(*udp))
		return XDP_DROP;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
