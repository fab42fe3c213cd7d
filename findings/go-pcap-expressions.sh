#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# github.com/packetcap/go-pcap compiles tcpdump's expressions to classic BPF in pure Go. Some
# it does not know it takes without an error all the same: a test of flags becomes
# a test of the protocol alone, and a range of ports a filter that matches every packet, also
# behind "udp and". A capture then shows what nobody asked for, and nothing says so.
#
# Seen 2026-12-01 with the version below, Go 1.26, "-" being a filter that is nothing but a
# return of the snap length:
#   "tcp[13] & 2 != 0" is the filter of "tcp": true
#   "portrange 1-10": 2 instructions, -
#   "udp and portrange 1-10": 2 instructions, -
#
# tcpdump -ddd, that is libpcap, is what to compare with.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'MOD'
module finding

go 1.26
MOD
cat >main.go <<'GO'
package main

import (
	"fmt"
	"log"

	"github.com/packetcap/go-pcap/filter"
	"golang.org/x/net/bpf"
)

func main() {
	fmt.Printf("%q is the filter of %q: %t\n", "tcp[13] & 2 != 0", "tcp",
		fmt.Sprint(compile("tcp[13] & 2 != 0")) == fmt.Sprint(compile("tcp")))
	for _, expression := range []string{"portrange 1-10", "udp and portrange 1-10"} {
		insns := compile(expression)
		what := "a test"
		if _, all := insns[0].(bpf.RetConstant); all {
			what = "-"
		}
		fmt.Printf("%q: %d instructions, %s\n", expression, len(insns), what)
	}
}

func compile(expression string) []bpf.Instruction {
	insns, err := filter.NewExpression(expression).Compile().Compile()
	if err != nil {
		log.Fatalf("%q: %v", expression, err)
	}
	return insns
}
GO
go get github.com/packetcap/go-pcap@v0.0.0-20240528124601-8c87ecf5dbc5 2>/dev/null
go mod tidy 2>/dev/null
seen=$(go run .)
want='"tcp[13] & 2 != 0" is the filter of "tcp": true
"portrange 1-10": 2 instructions, -
"udp and portrange 1-10": 2 instructions, -'
echo "$seen"
[[ $seen == "$want" ]] || {
	echo "it was otherwise before" >&2
	exit 1
}
