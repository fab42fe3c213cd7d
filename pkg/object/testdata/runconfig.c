// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Run configs as xdp/xdp_helpers.h of libxdp declares them, right and wrong.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define RUN_CONFIG(function) _##function SEC(".xdp_run_config")

#define PROGRAM(name)                   \
	SEC("xdp")                      \
	int name(struct xdp_md *ctx)    \
	{                               \
		(void)ctx;              \
		return XDP_PASS;        \
	}

PROGRAM(silent)

PROGRAM(both)
struct {
	__uint(priority, 10);
	__uint(XDP_PASS, 1);
	__uint(XDP_DROP, 1);
} RUN_CONFIG(both);

PROGRAM(only_priority)
struct {
	__uint(priority, 0);
} RUN_CONFIG(only_priority);

PROGRAM(only_actions)
struct {
	__uint(XDP_PASS, 0);
	__uint(XDP_TX, 2);
} RUN_CONFIG(only_actions);

PROGRAM(unknown)
struct {
	__uint(XDP_HOLD, 1);
} RUN_CONFIG(unknown);

PROGRAM(huge)
struct {
	__uint(priority, 0x80000000);
} RUN_CONFIG(huge);

PROGRAM(mistyped)
struct {
	int priority;
} RUN_CONFIG(mistyped);

PROGRAM(no_struct)
int RUN_CONFIG(no_struct);

char LICENSE[] SEC("license") = "Dual BSD/GPL";
