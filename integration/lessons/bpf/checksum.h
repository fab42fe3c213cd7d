// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* Internet checksums of packets that are changed. */
#ifndef LESSONS_CHECKSUM_H
#define LESSONS_CHECKSUM_H

#include <linux/types.h>

#include <bpf/bpf_helpers.h>

/* The checksum of what had the word old where it has new now (RFC 1624, equation 3). */
static __always_inline __sum16 change_word(__sum16 checksum, __be16 old, __be16 new)
{
	__u32 sum = (__u16)~checksum + (__u16)~old + (__u32)new;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

#endif
