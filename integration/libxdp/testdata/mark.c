// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/*
 * Members that sign the frames they see and return what the frame tells them to: a
 * frame that arrives says which members ran, in which order.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAX_MEMBERS 16

/* Local experimental EtherType 1, IEEE 802. */
#define ETH_P_MARKED 0x88b5

/* Must match marked in packets_test.go. */
struct marked {
	struct ethhdr ethernet;
	__u8 count;                 /* of signatures */
	__u8 verdicts[MAX_MEMBERS]; /* of each member, the first that of member a */
	__u8 signatures[MAX_MEMBERS];
};

static __always_inline int sign(const struct xdp_md *ctx, __u8 letter)
{
	struct marked *m = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u8 *next;

	if ((void *)(m + 1) > end || m->ethernet.h_proto != bpf_htons(ETH_P_MARKED))
		return XDP_PASS;
	if (m->count >= MAX_MEMBERS)
		return XDP_ABORTED;
	next = m->signatures + m->count;
	if ((void *)(next + 1) > end) /* for the verifier: it forgets the first test */
		return XDP_ABORTED;
	*next = letter;
	m->count++;
	return m->verdicts[letter - 'a'];
}

#define MEMBER(section, function, letter) \
	SEC(section) \
	int function(struct xdp_md *ctx) \
	{ \
		return sign(ctx, letter); \
	}

MEMBER("xdp", mark_a, 'a')
MEMBER("xdp", mark_b, 'b')
MEMBER("xdp", mark_c, 'c')
MEMBER("xdp", mark_d, 'd')
MEMBER("xdp", mark_e, 'e')
MEMBER("xdp", mark_f, 'f')
MEMBER("xdp", mark_g, 'g')
MEMBER("xdp", mark_h, 'h')
MEMBER("xdp", mark_i, 'i')
MEMBER("xdp", mark_j, 'j')
MEMBER("xdp", mark_k, 'k')

/* In a section of its own, to be chosen by that. */
MEMBER("xdp/other", mark_l, 'l')

/* The kernel keeps 15 characters of a name. */
MEMBER("xdp", mark_with_a_long_name, 'm')

/*
 * What libxdp's XDP_RUN_CONFIG makes: a variable named after the function, whose
 * type says the settings and which holds nothing.
 */
struct {
	__uint(priority, 15);
	__uint(XDP_PASS, 1);
	__uint(XDP_DROP, 1);
} _mark_d SEC(".xdp_run_config");

char LICENSE[] SEC("license") = "Dual BSD/GPL";
