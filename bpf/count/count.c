// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

//go:build ignore

#include "length.h"
#include "parse.h"

/* bpftool prints the names for what has one, and the number for the rest. */
enum ethertype {
	IEEE802_3 = 0,
	IPV4 = ETH_P_IP,
	ARP = ETH_P_ARP,
	VLAN = ETH_P_8021Q,
	IPV6 = ETH_P_IPV6,
	PAUSE = ETH_P_PAUSE,
	MPLS = ETH_P_MPLS_UC,
	PPPOE_DISCOVERY = ETH_P_PPP_DISC,
	PPPOE_SESSION = ETH_P_PPP_SES,
	EAPOL = ETH_P_PAE,
	SERVICE_VLAN = ETH_P_8021AD,
	LLDP = ETH_P_LLDP,
	MACSEC = ETH_P_MACSEC,
	PTP = ETH_P_1588,
};

enum protocol {
	NONE = 0,
	ICMP = IPPROTO_ICMP,
	IGMP = IPPROTO_IGMP,
	IPIP = IPPROTO_IPIP,
	TCP = IPPROTO_TCP,
	UDP = IPPROTO_UDP,
	DCCP = IPPROTO_DCCP,
	IPV6_IN_IP = IPPROTO_IPV6,
	GRE = IPPROTO_GRE,
	ESP = IPPROTO_ESP,
	AH = IPPROTO_AH,
	ICMPV6 = IPPROTO_ICMPV6,
	NO_NEXT_HEADER = IPPROTO_NONE,
	OSPF = 89,
	PIM = IPPROTO_PIM,
	VRRP = 112,
	SCTP = IPPROTO_SCTP,
	UDPLITE = IPPROTO_UDPLITE,
};

struct traffic_class {
	enum ethertype ethertype;
	enum protocol protocol;
};

struct traffic {
	__u64 packets;
	__u64 bytes;
};

/*
 * Preallocated and small: made in some 50 us, and about 5 kB and one more a CPU.
 * Without preallocation the kernel's allocator keeps a stock of per-CPU values
 * for each CPU, which grows with the square of their number.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 64);
	__type(key, struct traffic_class);
	__type(value, struct traffic);
} traffic SEC(".maps");

/* What came after the map above was full, in classes that it does not hold. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct traffic);
} overflow SEC(".maps");

static __always_inline struct traffic *find(const struct traffic_class *class)
{
	/* On the stack, else they would make a .rodata map. */
	const struct traffic none = {};
	const __u32 first = 0;
	struct traffic *t = bpf_map_lookup_elem(&traffic, class);

	if (t)
		return t;
	/* Another CPU may be faster, or the map may be full: the look says so. */
	bpf_map_update_elem(&traffic, class, &none, BPF_NOEXIST);
	t = bpf_map_lookup_elem(&traffic, class);
	if (t)
		return t;
	return bpf_map_lookup_elem(&overflow, &first);
}

/* Global, so that it is verified once: see parse.h. */
__noinline int count_packet(__u32 ethertype, __u32 protocol, __u64 bytes)
{
	const struct traffic_class class = {
		.ethertype = ethertype < ETH_P_802_3_MIN ? IEEE802_3 : ethertype,
		.protocol = protocol,
	};
	struct traffic *t = find(&class);

	if (t) {
		/* Per CPU, and XDP does not interrupt itself: no atomics. */
		t->packets++;
		t->bytes += bytes;
	}
	return 0;
}

SEC("xdp.frags")
int count(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	struct link_header link;
	struct ip_packet ip = {};
	__u32 protocol = NONE;

	read_ethernet(&f, ctx, &link);
	if (link.ethertype == ETH_P_IP && read_ipv4(&f, &ip))
		protocol = ip.protocol;
	else if (link.ethertype == ETH_P_IPV6 && read_ipv6(&f, ctx, &ip))
		protocol = ip.protocol;

	count_packet(link.ethertype, protocol, length_of(ctx, link.size + ip.length));
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
