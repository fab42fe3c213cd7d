// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Second stages: programs that run where frames come out that a member redirects.

#include "tally.h"

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct bpf_cpumap_val);
} cpus SEC(".maps");

/* What the second stages saw, by what they did with it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ACTIONS);
	__type(key, __u32);
	__type(value, struct tally);
} second SEC(".maps");

/* A byte that leave_interface leaves in the frames. */
const volatile __u8 mark = 0;

SEC("xdp.frags")
int to_port(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect_map(&ports, 0, XDP_PASS);
}

SEC("xdp.frags")
int to_cpu(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect_map(&cpus, 0, XDP_PASS);
}

/* Runs once for each frame, with the interface by which it leaves. */
SEC("xdp.frags/devmap")
int leave_interface(struct xdp_md *ctx)
{
	struct frame f = frame_of(ctx);
	struct ethhdr *eth = take(&f, sizeof(*eth));

	if (!eth)
		return XDP_ABORTED;
	eth->h_source[ETH_ALEN - 2] = mark;
	eth->h_source[ETH_ALEN - 1] = ctx->egress_ifindex;
	return tally_frame(ctx, &second, asked_action(ctx));
}

/* Runs on the other CPU, before the kernel makes a packet of the frame. */
SEC("xdp.frags/cpumap")
int arrive_on_cpu(struct xdp_md *ctx)
{
	return tally_frame(ctx, &second, asked_action(ctx));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
