// SPDX-License-Identifier: Apache-2.0

package bpf

import "embed"

//go:generate ./compile.sh pass/pass.c pass/pass.o
//go:generate ./compile.sh drop/drop.c drop/drop.o
//go:generate ./compile.sh count/count.c count/count.o
//go:generate ./compile.sh acl/acl.c acl/acl.o
//go:generate ./compile.sh flow-stats/flow-stats.c flow-stats/flow-stats.o
//go:generate ./compile.sh ratelimit/ratelimit.c ratelimit/ratelimit.o
//go:generate ./compile.sh icmp-echo/icmp-echo.c icmp-echo/icmp-echo.o
//go:generate ./compile.sh dispatcher/v2.c dispatcher/v2.o
//go:generate ./compile.sh dispatcher/v3.c dispatcher/v3.o

// Objects holds the compiled programs as "<name>/<name>.o": BPF ELF objects for
// little-endian machines, each with one XDP program that is named as its folder, with
// an underscore for a hyphen.
//
//go:embed pass/pass.o drop/drop.o count/count.o acl/acl.o flow-stats/flow-stats.o ratelimit/ratelimit.o icmp-echo/icmp-echo.o
var Objects embed.FS

// Dispatchers holds libxdp's dispatcher as "dispatcher/v<version>.o", in versions 2
// and 3 of its protocol. It is no program of a chain but what stands in front of one:
// pkg/dispatcher/libxdp sets its constant conf and loads it.
//
//go:embed dispatcher/v2.o dispatcher/v3.o
var Dispatchers embed.FS
