#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# github.com/cilium/ebpf v0.22.0: a jump to a label further away than a BPF jump can go
# (its offset is a signed 16-bit number of instructions) is encoded without an error, with
# the offset cut to 16 bits. One would expect Marshal, and so NewProgram, to refuse it: the
# jump goes backwards instead, or to the next instruction.
#
# Seen 2026-12-01, Go 1.26:
#   over 32767 instructions: offset 32767, error <nil>
#   over 32768 instructions: offset -32768, error <nil>
#   over 65536 instructions: offset 0, error <nil>
#
# Whoever writes instructions and not C checks the distance before the load.
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
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf/asm"
)

func main() {
	for _, n := range []int{32767, 32768, 65536} {
		insns := asm.Instructions{asm.JEq.Imm(asm.R1, 0, "far")}
		for range n {
			insns = append(insns, asm.Mov.Imm(asm.R0, 0))
		}
		insns = append(insns, asm.Return().WithSymbol("far"))
		var code bytes.Buffer
		err := insns.Marshal(&code, binary.LittleEndian)
		offset := int16(binary.LittleEndian.Uint16(code.Bytes()[2:]))
		fmt.Printf("over %d instructions: offset %d, error %v\n", n, offset, err)
	}
}
GO
go get github.com/cilium/ebpf@v0.22.0 2>/dev/null
seen=$(go run .)
want='over 32767 instructions: offset 32767, error <nil>
over 32768 instructions: offset -32768, error <nil>
over 65536 instructions: offset 0, error <nil>'
echo "$seen"
[[ $seen == "$want" ]] || {
	echo "it was otherwise before" >&2
	exit 1
}
