// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* The length of a frame, for the programs that count bytes. */
#ifndef XDP_CHAIN_LENGTH_H
#define XDP_CHAIN_LENGTH_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/*
 * The kernel begins a second buffer once the first is full, and none is
 * smaller than this.
 */
#define MIN_FULL_BUFFER 1024

/*
 * The frame's length. ctx shows the first buffer alone, and
 * bpf_xdp_get_buff_len came with 5.18; so a frame that fills a buffer is taken
 * to be as long as its headers say, link's and IP's, if that is longer.
 */
static __always_inline __u64 length_of(const struct xdp_md *ctx, __u64 said)
{
	__u64 linear = ctx->data_end - ctx->data;

	/* Else clang compares sums of pointers, which the verifier does not follow. */
	barrier_var(linear);
	return linear >= MIN_FULL_BUFFER && said > linear ? said : linear;
}

#endif
