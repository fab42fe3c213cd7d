#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# github.com/cilium/ebpf v0.22.0, Linux 6.18: Collection.Close closes every file descriptor of
# a collection, and the kernel frees its maps, unless the spec has Variables. Then the data
# sections that these lie in are mapped into the process's memory, and the mapping keeps the
# map alive until Go's garbage collector finds it. A process that loads and closes in a loop
# piles up maps that nobody holds, and a check for leaks right after Close finds one.
#
# Seen 2026-12-01, Go 1.26:
#   without variables: after Close false, after garbage collection false
#   with variables: after Close true, after garbage collection false
#
# A spec whose Variables are nil is not mapped; values can be written into its Contents.
#
# It loads maps, so it needs root.
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
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

func main() {
	section := &ebpf.MapSpec{
		Name: ".bss", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE,
		Contents: []ebpf.MapKV{{Key: uint32(0), Value: make([]byte, 4)}},
	}
	variable := &ebpf.VariableSpec{
		Name: "v", SectionName: ".bss", Value: make([]byte, 4),
		Type: &btf.Var{Name: "v", Type: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}, Linkage: btf.GlobalVar},
	}
	show("without", &ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{".bss": section}})
	show("with", &ebpf.CollectionSpec{
		Maps:      map[string]*ebpf.MapSpec{".bss": section},
		Variables: map[string]*ebpf.VariableSpec{"v": variable},
	})
}

func show(what string, spec *ebpf.CollectionSpec) {
	id := loadAndClose(spec)
	time.Sleep(200 * time.Millisecond) // the kernel frees a map a moment later
	closed := alive(id)
	for range 3 {
		runtime.GC()
		time.Sleep(100 * time.Millisecond)
	}
	fmt.Printf("%s variables: after Close %t, after garbage collection %t\n", what, closed, alive(id))
}

func loadAndClose(spec *ebpf.CollectionSpec) ebpf.MapID {
	loaded, err := ebpf.NewCollection(spec)
	if err != nil {
		log.Fatal(err)
	}
	defer loaded.Close()
	info, err := loaded.Maps[".bss"].Info()
	if err != nil {
		log.Fatal(err)
	}
	id, _ := info.ID()
	return id
}

func alive(id ebpf.MapID) bool {
	m, err := ebpf.NewMapFromID(id)
	if err == nil {
		m.Close()
	}
	return err == nil
}
GO
go get github.com/cilium/ebpf@v0.22.0 golang.org/x/sys@v0.49.0 2>/dev/null
seen=$(go run .)
want='without variables: after Close false, after garbage collection false
with variables: after Close true, after garbage collection false'
echo "$seen"
[[ $seen == "$want" ]] || {
	echo "it was otherwise before" >&2
	exit 1
}
