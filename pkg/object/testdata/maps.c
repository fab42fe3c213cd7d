// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Maps of the kinds that can be filled from a configuration, and of some that cannot.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

#include <bpf/bpf_helpers.h>

struct prefix {
	__u32 prefixlen;
	__be32 address;
};

struct prefix6 {
	__u32 length;
	__u8 address[16];
};

// More than a length and an address: no short form.
struct tagged {
	__u32 prefixlen;
	__u32 tag;
	__be32 address;
};

struct rule {
	__u32 verdict;
	__u16 ports[2];
	struct prefix from;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16);
	__type(key, struct prefix);
	__type(value, struct rule);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4);
	__type(key, struct prefix6);
	__type(value, __u32);
} rules6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4);
	__type(key, struct tagged);
	__type(value, __u32);
} by_tag SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u8[ETH_ALEN]);
	__type(value, char[8]);
} names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} list SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} each SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} untyped SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} jumps SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} first SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner);
} tables SEC(".maps") = {
	.values = { [1] = &first },
};

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

// Nothing uses it.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} unused SEC(".maps");

// What the first rule that matches the source says, plus what the others hold for
// key 1, so that every map is used.
SEC("xdp")
int filter(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	struct prefix from = { .prefixlen = 32 };
	struct prefix6 from6 = {};
	struct tagged tagged = {};
	struct rule *rule;
	__u32 key = 1, *count;
	__u64 *extra;
	char *name;

	if ((void *)(ip + 1) > end)
		return XDP_ABORTED;
	from.address = ip->saddr;
	rule = bpf_map_lookup_elem(&rules, &from);
	if (!rule)
		return XDP_PASS;
	if (bpf_map_lookup_elem(&rules6, &from6) || bpf_map_lookup_elem(&by_tag, &tagged) ||
	    bpf_map_lookup_elem(&untyped, &key) || bpf_map_lookup_elem(&tables, &key))
		key = 0;
	name = bpf_map_lookup_elem(&names, data);
	if (name && name[0] == 'x')
		return XDP_TX;
	extra = bpf_map_lookup_elem(&list, &key);
	count = bpf_map_lookup_elem(&each, &key);
	if (!extra || !count)
		return XDP_ABORTED;
	if (*extra + *count == 0)
		bpf_tail_call(ctx, &jumps, 0);
	if (rule->verdict == XDP_REDIRECT)
		return bpf_redirect_map(&ports, 0, 0);
	bpf_ringbuf_output(&events, &key, sizeof(key), 0);
	return rule->verdict + *extra + *count;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
