// SPDX-License-Identifier: Apache-2.0

package linked

// What the benchmarks compare a chain with.
//go:generate ../../../bpf/compile.sh testdata/ten.c testdata/ten.o
