// SPDX-License-Identifier: Apache-2.0

package bpf

import "embed"

//go:generate ./compile.sh pass/pass.c pass/pass.o
//go:generate ./compile.sh drop/drop.c drop/drop.o
//go:generate ./compile.sh count/count.c count/count.o
//go:generate ./compile.sh acl/acl.c acl/acl.o

// Objects holds the compiled programs as "<name>/<name>.o": BPF ELF objects for
// little-endian machines, each with one XDP program that is named as its folder.
//
//go:embed pass/pass.o drop/drop.o count/count.o acl/acl.o
var Objects embed.FS
