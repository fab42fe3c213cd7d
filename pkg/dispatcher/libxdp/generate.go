// SPDX-License-Identifier: Apache-2.0

package libxdp

//go:generate ../../../bpf/compile.sh testdata/v1.c testdata/v1.o
