// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* The small member of which the chains here are made, and the same work of two, five
 * and ten of it as one function, as somebody would write it who needs no chain. Each
 * counts every packet in a map of its own. */

#include "packets.h"

SEC("xdp.frags")
int member(struct xdp_md *ctx)
{
	(void)ctx;
	add_one(&packets0);
	return XDP_PASS;
}

/* The same work by as many instructions, but what it returns is not always XDP_PASS. The
 * asm keeps clang from loading the other verdict before it is needed. */
SEC("xdp.frags")
int undecided(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(&packets0, &key);

	(void)ctx;
	if (!n) {
		int verdict = XDP_ABORTED;

		asm volatile("" : "+r"(verdict));
		return verdict;
	}
	(*n)++;
	return XDP_PASS;
}

SEC("xdp.frags")
int together2(struct xdp_md *ctx)
{
	(void)ctx;
	add_one(&packets0);
	add_one(&packets1);
	return XDP_PASS;
}

SEC("xdp.frags")
int together5(struct xdp_md *ctx)
{
	(void)ctx;
	add_one(&packets0);
	add_one(&packets1);
	add_one(&packets2);
	add_one(&packets3);
	add_one(&packets4);
	return XDP_PASS;
}

SEC("xdp.frags")
int together10(struct xdp_md *ctx)
{
	(void)ctx;
	add_one(&packets0);
	add_one(&packets1);
	add_one(&packets2);
	add_one(&packets3);
	add_one(&packets4);
	add_one(&packets5);
	add_one(&packets6);
	add_one(&packets7);
	add_one(&packets8);
	add_one(&packets9);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
