// SPDX-License-Identifier: Apache-2.0

package main

//go:generate ../../bpf/compile.sh testdata/members.c testdata/members.o
//go:generate ../../bpf/compile.sh testdata/tailcalls.c testdata/tailcalls.o
