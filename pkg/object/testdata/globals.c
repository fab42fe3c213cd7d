// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// A variable of every kind that can be set, and of some that cannot.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/types.h>

#include <stdbool.h>

#include <bpf/bpf_helpers.h>

enum color { RED, GREEN = 7, BLUE = 1000000 };
enum shift { BELOW = -3, ABOVE = 3 };

struct endpoint {
	__be32 address;
	__u16 port;
	struct {
		bool up;
		__s8 weight;
	};
	union {
		__u64 whole;
		__u8 parts[8];
	} id;
};

struct prefix {
	__u32 prefixlen;
	__u8 address[16];
};

struct bits {
	__u32 low : 3;
	__u32 high : 29;
};

// .rodata
const volatile __u8 u8;
const volatile __u16 u16;
const volatile __u32 u32 = 7;
const volatile __u64 u64;
const volatile __s8 s8;
const volatile __s16 s16;
const volatile __s32 s32;
const volatile __s64 s64;
const volatile unsigned __int128 u128;
const volatile bool flag;
const volatile char letter;
const volatile enum color color;
const volatile enum shift shift;
const volatile char name[8];
const volatile char words[2][8];
const volatile __u16 ports[3];
const volatile __u8 ip[4];
const volatile __u8 ip6[16];
const volatile unsigned char mac[ETH_ALEN];
const volatile __be32 be32;
const volatile __be32 be128[4];
const volatile struct in6_addr in6;
const volatile struct endpoint endpoints[2];
const volatile struct prefix prefix;
const volatile struct bits bits;
const volatile __u32 verdict = XDP_PASS;

// .data
__u32 limit = 100;
__u64 rate = 1;

// .bss
__u32 hits;
__u8 table[4096];

// No symbol: not to be set from outside.
static volatile const __u32 hidden = 1;

// A section of its own, that only one of the programs uses.
__u32 other SEC(".data.other") = 1;

#define USE(variable) total += *(const volatile __u8 *)&(variable)

SEC("xdp")
int globals(struct xdp_md *ctx)
{
	__u32 total = 0;

	(void)ctx;
	USE(u8), USE(u16), USE(u32), USE(u64), USE(u128);
	USE(s8), USE(s16), USE(s32), USE(s64);
	USE(flag), USE(letter), USE(color), USE(shift), USE(name), USE(words), USE(ports);
	USE(ip), USE(ip6), USE(mac), USE(be32), USE(be128), USE(in6);
	USE(endpoints), USE(prefix), USE(bits), USE(table), USE(rate), USE(hidden);
	if (limit != 100)
		return XDP_DROP;
	hits += total;
	return verdict;
}

SEC("xdp")
int others(struct xdp_md *ctx)
{
	(void)ctx;
	return other;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
