// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* The small member of members.c, ten times, each of which calls the next one by a tail
 * call as long as there is one in the array. The index is a constant, so that the JIT
 * jumps there directly: tail calls cannot cost less. Whether to go on is not asked, as
 * here nobody else decides after a member. */

#include "../../workload/testdata/packets.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 11); /* the tenth looks for an eleventh */
	__type(key, __u32);
	__type(value, __u32);
} members SEC(".maps");

#define MEMBER(i, next)                              \
	SEC("xdp.frags")                             \
	int tail##i(struct xdp_md *ctx)              \
	{                                            \
		add_one(&packets##i);                \
		bpf_tail_call_static(ctx, &members, next); \
		return XDP_PASS;                     \
	}

MEMBER(0, 1)
MEMBER(1, 2)
MEMBER(2, 3)
MEMBER(3, 4)
MEMBER(4, 5)
MEMBER(5, 6)
MEMBER(6, 7)
MEMBER(7, 8)
MEMBER(8, 9)
MEMBER(9, 10)

char LICENSE[] SEC("license") = "Dual BSD/GPL";
