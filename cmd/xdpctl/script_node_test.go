// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// plugin puts the plugin's binary into a folder, as somebody who installs it does.
func plugin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: plugin FOLDER")
	}
	content, err := os.ReadFile(plugintest.Binary(ts.Value(script{}).(*script).tb, "xdp-chain"))
	ts.Check(err)
	folder := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(folder, 0o755))
	ts.Check(os.WriteFile(filepath.Join(folder, "xdp-chain"), content, 0o755))
}

// unplug deletes the pod's veth pair, and waits until its chain is seen to be dead.
func unplug(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: unplug")
	}
	host, err := netlink.LinkByName(hostInterface)
	ts.Check(err)
	ts.Check(netlink.LinkDel(host))
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left, err := node.Default().Leftovers()
		ts.Check(err)
		if slices.ContainsFunc(left, func(l node.Leftover) bool { return l.Kind == node.LeftoverChain }) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the chain is still alive")
		}
	}
}

// foreign puts a program of nobody's in the place of the chain, which netlink has to hold.
func foreign(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: foreign")
	}
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "foreign", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
	ts.Check(err)
	defer program.Close()
	const native = 1 << 2 // XDP_FLAGS_DRV_MODE
	testenv.InNetNS(ts.Value(script{}).(*script).tb, ts.Getenv("NETNS"), func() error {
		eth0, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.LinkSetXdpFdWithFlags(eth0, program.FD(), native)
	})
}
