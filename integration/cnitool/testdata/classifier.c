// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* A BPF object without any XDP program. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int classify(struct __sk_buff *skb)
{
	(void)skb;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
