// SPDX-License-Identifier: Apache-2.0

package node

//go:generate ../../bpf/compile.sh testdata/before.c testdata/before.o
//go:generate ../../bpf/compile.sh testdata/after.c testdata/after.o
