#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Linux 6.18, veth: packets that an XDP program drops are counted as received and not as
# dropped by the interface's statistics (ip -s link, /proc/net/dev, sysfs), in native and in
# generic mode. Monitoring by rx_dropped sees nothing. Natively ethtool -S has them, as
# rx_queue_N_xdp_drops; in generic mode no counter does.
#
# Seen 2026-12-01 with github.com/cilium/ebpf v0.22.0 and github.com/vishvananda/netlink
# v1.3.1, 100 packets sent to a program that drops all:
#   native: received 100, dropped 0
#   generic: received 100, dropped 0
#
# It loads a program and makes a network namespace, which goes with it: it needs root.
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
	"os"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const packets = 100

func main() {
	runtime.LockOSThread() // the namespace is the thread's, and ends with it
	_, err := netns.New()
	check(err)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "sender"
	check(netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "receiver"}))
	sender, receiver := up("sender"), up("receiver")
	drop, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "Apache-2.0",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
	})
	check(err)
	show("native", link.XDPDriverMode, drop, sender, receiver)
	show("generic", link.XDPGenericMode, drop, sender, receiver)
}

func show(mode string, flags link.XDPAttachFlags, drop *ebpf.Program, sender, receiver int) {
	hook, err := link.AttachXDP(link.XDPOptions{Program: drop, Interface: receiver, Flags: flags})
	check(err)
	defer hook.Close()
	before := statistics("receiver")
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	check(err)
	defer unix.Close(socket)
	for range packets {
		check(unix.Sendto(socket, make([]byte, 64), 0, &unix.SockaddrLinklayer{Ifindex: sender}))
	}
	after := statistics("receiver")
	for range 100 { // reception follows the call
		if after.RxPackets-before.RxPackets >= packets {
			break
		}
		time.Sleep(10 * time.Millisecond)
		after = statistics("receiver")
	}
	fmt.Printf("%s: received %d, dropped %d\n", mode, after.RxPackets-before.RxPackets, after.RxDropped-before.RxDropped)
}

// up brings an interface up without IPv6, which would send packets of its own.
func up(name string) int {
	_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0)
	l, err := netlink.LinkByName(name)
	check(err)
	check(netlink.LinkSetUp(l))
	return l.Attrs().Index
}

func statistics(name string) *netlink.LinkStatistics {
	l, err := netlink.LinkByName(name)
	check(err)
	return l.Attrs().Statistics
}

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}
GO
go get github.com/cilium/ebpf@v0.22.0 github.com/vishvananda/netlink@v1.3.1 github.com/vishvananda/netns@v0.0.5 golang.org/x/sys@v0.49.0 2>/dev/null
go mod tidy 2>/dev/null
seen=$(go run .)
want='native: received 100, dropped 0
generic: received 100, dropped 0'
echo "$seen"
[[ $seen == "$want" ]] || {
	echo "it was otherwise before" >&2
	exit 1
}
