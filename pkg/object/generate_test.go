// SPDX-License-Identifier: Apache-2.0

package object

//go:generate ../../bpf/compile.sh testdata/globals.c testdata/globals.o
//go:generate ../../bpf/compile.sh testdata/maps.c testdata/maps.o
//go:generate ../../bpf/compile.sh testdata/several.c testdata/several.o
//go:generate ../../bpf/compile.sh testdata/runconfig.c testdata/runconfig.o
//go:generate ../../bpf/compile.sh testdata/stages.c testdata/stages.o
//go:generate ../../bpf/compile.sh testdata/refused.c testdata/refused.o
//go:generate ../../bpf/compile.sh testdata/noxdp.c testdata/noxdp.o
//go:generate ../../bpf/compile.sh testdata/plain.c testdata/plain.o
//go:generate llvm-objcopy-19 --remove-section=.BTF --remove-section=.rel.BTF --remove-section=.BTF.ext --remove-section=.rel.BTF.ext testdata/plain.o testdata/nobtf.o
