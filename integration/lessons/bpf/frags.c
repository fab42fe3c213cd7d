// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// xdp.frags: frames that several buffers hold.

#include "parse.h"

struct lengths {
	__u64 frames;
	__u64 bytes;
	__u64 of_several_buffers;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lengths);
} lengths SEC(".maps");

SEC("xdp.frags")
int measure(struct xdp_md *ctx)
{
	__u64 linear = ctx->data_end - ctx->data, whole = bpf_xdp_get_buff_len(ctx);
	__u32 key = 0;
	struct lengths *l = bpf_map_lookup_elem(&lengths, &key);

	if (l) {
		l->frames++;
		l->bytes += whole;
		l->of_several_buffers += whole > linear;
	}
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
