// SPDX-License-Identifier: Apache-2.0

package chaintest

//go:generate ../../../../bpf/compile.sh testdata/calls.c testdata/calls.o
//go:generate ../../../../bpf/compile.sh testdata/count.c testdata/count.o
//go:generate ../../../../bpf/compile.sh testdata/globals.c testdata/globals.o
//go:generate ../../../../bpf/compile.sh testdata/kernel.c testdata/kernel.o
//go:generate ../../../../bpf/compile.sh testdata/refused.c testdata/refused.o
