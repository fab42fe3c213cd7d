// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// A program that redirects, and such as can run where the frames come out.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

volatile const __u32 of_member = 1;
volatile __u32 of_stage = 2;

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} plain_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct bpf_cpumap_val);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} aside SEC(".maps");

SEC("xdp.frags")
int send(struct xdp_md *ctx)
{
	(void)ctx;
	if (of_member == 1)
		return bpf_redirect_map(&ports, 0, 0);
	if (of_member == 2)
		return bpf_redirect_map(&plain_ports, 0, 0);
	return bpf_redirect_map(&cpus, 0, 0);
}

SEC("xdp.frags/devmap")
int count_out(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *count = bpf_map_lookup_elem(&aside, &key);

	(void)ctx;
	if (count)
		*count += of_stage;
	return XDP_PASS;
}

SEC("xdp/devmap")
int one_buffer(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

SEC("xdp.frags/cpumap")
int send_on(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect_map(&ports, 0, 0);
}

SEC("xdp.frags/cpumap")
int around(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect_map(&cpus, 0, 0);
}

SEC("xdp/devmap")
int back(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect_map(&cpus, 0, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
