// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// packet02-rewriting: the outermost VLAN tag goes, and a frame without one gets one.

#include "parse.h"

const volatile __u16 vlan = 100;

struct addresses {
	__u8 bytes[2 * ETH_ALEN];
};

static __always_inline int pop_tag(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	struct addresses saved, *addresses = take(&f, sizeof(*addresses));

	if (!addresses || !take(&f, sizeof(struct vlan_tag)))
		return XDP_ABORTED;
	saved = *addresses;
	if (bpf_xdp_adjust_head(ctx, sizeof(struct vlan_tag)))
		return XDP_ABORTED;
	/* What pointed into the frame does so no more. The EtherType is where it was. */
	f = frame_of(ctx);
	addresses = take(&f, sizeof(*addresses));
	if (!addresses)
		return XDP_ABORTED;
	*addresses = saved;
	return XDP_PASS;
}

static __always_inline int push_tag(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	struct addresses saved, *addresses = take(&f, sizeof(*addresses));
	__be16 *tag;

	if (!addresses)
		return XDP_ABORTED;
	saved = *addresses;
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct vlan_tag)))
		return XDP_ABORTED;
	f = frame_of(ctx);
	addresses = take(&f, sizeof(*addresses));
	tag = take(&f, 2 * sizeof(*tag));
	if (!addresses || !tag)
		return XDP_ABORTED;
	*addresses = saved;
	tag[0] = bpf_htons(ETH_P_8021Q);
	tag[1] = bpf_htons(vlan);
	return XDP_PASS;
}

SEC("xdp.frags")
int toggle_tag(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	const struct ethhdr *eth = take(&f, sizeof(*eth));

	if (!eth)
		return XDP_ABORTED;
	return is_vlan(bpf_ntohs(eth->h_proto)) ? pop_tag(ctx) : push_tag(ctx);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
