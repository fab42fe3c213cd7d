/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */

#ifndef PACKETS_H
#define PACKETS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/* The maps in which members count packets. */
#define PACKETS(name)                                    \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); \
		__uint(max_entries, 1);                  \
		__type(key, __u32);                      \
		__type(value, __u64);                    \
	} name SEC(".maps")

PACKETS(packets0);
PACKETS(packets1);
PACKETS(packets2);
PACKETS(packets3);
PACKETS(packets4);
PACKETS(packets5);
PACKETS(packets6);
PACKETS(packets7);
PACKETS(packets8);
PACKETS(packets9);

static __always_inline void add_one(void *packets)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(packets, &key);

	if (n)
		(*n)++;
}

#endif
