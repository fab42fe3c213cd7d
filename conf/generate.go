// SPDX-License-Identifier: Apache-2.0

// Package conf holds configurations to start from: conflists, and programs of
// one's own under examples with the objects compiled from them. It is a package
// only for `make generate` to find it.
package conf

//go:generate ../bpf/compile.sh examples/udp-limit/udp_limit.c examples/udp-limit/udp_limit.o
