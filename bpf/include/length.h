// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* The length of a frame, for the programs that count bytes. */
#ifndef XDP_CHAIN_LENGTH_H
#define XDP_CHAIN_LENGTH_H

#include "parse.h"

/*
 * The kernel begins a second buffer once the first is full, and none is
 * smaller than this.
 */
#define MIN_FULL_BUFFER 1024

/*
 * The frame's length. ctx shows the first buffer alone, and
 * bpf_xdp_get_buff_len came with 5.18; so a frame that fills a buffer is taken
 * to be as long as its IP header says, if that is longer.
 */
static __always_inline __u64 length_of(const struct xdp_md *ctx, const struct link_header *link,
				       const struct ip_packet *ip)
{
	__u64 linear = ctx->data_end - ctx->data;
	__u64 said = link->size + ip->length;

	/* Else clang compares sums of pointers, which the verifier does not follow. */
	barrier_var(linear);
	return linear >= MIN_FULL_BUFFER && said > linear ? said : linear;
}

#endif
