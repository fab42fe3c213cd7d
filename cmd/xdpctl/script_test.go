// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// TestMain lets the test binary stand in for xdpctl's where it is called by that
// name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "xdpctl" {
		main()
		os.Exit(0)
	}
	// Whoever is not root can write the reference, too: that needs no node.
	if flag.Parse(); *update && os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	testenv.Main(m)
}

// ofTheKernel are the scripts that run where tests are to be short, as in the lab: those
// that show what the kernel tells. They take turns.
var ofTheKernel = []string{"flows.txtar", "get.txtar", "list.txtar", "load.txtar", "stats-drop.txtar", "status.txtar"}

// TestScripts runs the scripts of testdata/script on chains that carry packets.
// Besides testscript's own commands they have
//
//	pod NAME FILE
//	send N [FILE]
//	netns VAR
//	iface KIND NAME [NETNS]
//	member VAR FLAGS...
//	plugin FOLDER
//	unplug
//	foreign
//
// The first makes a pod with interface eth0 and peer host0, with the programs and
// settings of a JSON file, and sets KEY, NETNS, HOSTKEY, HOSTINDEX and, of the members of
// its side, ID0, CREATED0 and so on. The second sends it N frames, of which FILE has the
// hexadecimal digits, and waits until its chain has counted them. For the others see
// [newNetNS], [newInterface], [loadMember], [plugin], [unplug] and [foreign]. OBJECTS is a
// folder of objects, and what a script has loaded goes with it.
func TestScripts(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "xdpctl")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		turn := slices.Index(ofTheKernel, filepath.Base(file))
		if testing.Short() && turn < 0 {
			continue
		}
		// One run a script: scripts of one run are parallel, and they share a node.
		t.Run(filepath.Base(file), func(t *testing.T) {
			testenv.ShardByKernel(t, turn)
			runScript(t, bin, file)
		})
	}
}

func runScript(t *testing.T, bin, file string) {
	objects, err := filepath.Abs("../../pkg/object/testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Files:               []string{file},
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("OBJECTS", objects)
			env.Setenv("GORACE", os.Getenv("GORACE"))
			s := &script{tb: env.T().(testing.TB)}
			env.Values[script{}] = s
			testenv.NoLeaks(s.tb)
			env.Defer(func() { unloadEverything(s) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"pod": pod, "send": send, "netns": newNetNS, "iface": newInterface, "member": loadMember,
			"plugin": plugin, "unplug": unplug, "foreign": foreign,
		},
	})
}

// script is the state of one script.
type script struct {
	tb  testing.TB
	key chain.Key // of the pod's side
}

const hostInterface = "host0"

func pod(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: pod NAME FILE")
	}
	s := ts.Value(script{}).(*script)
	netns := testenv.NewNetNS(s.tb)
	testenv.Veth(s.tb, netns, "eth0", hostInterface, 1500)

	a := resolve.Attachment{
		Owner: record.Owner{Network: "podnet", ContainerID: "c-" + args[0], Ifname: "eth0", PodNamespace: "shop", PodName: args[0]},
		NetNS: netns, Counters: true,
	}
	var settings struct {
		Attach   chain.Attach
		Counters *bool
		Programs []config.Program
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &settings))
	if settings.Counters != nil {
		a.Counters = *settings.Counters
	}
	a.Attach, a.Programs = settings.Attach, settings.Programs
	n := node.Default()
	s.tb.Cleanup(func() {
		if err := n.Remove(s.tb.Context(), a.Network, a.ContainerID, a.Ifname); err != nil {
			s.tb.Error(err)
		}
	})
	ts.Check(n.Apply(s.tb.Context(), a))

	inside, err := netdev.OpenNetNS(netns)
	ts.Check(err)
	defer inside.Close()
	eth0, err := inside.InterfaceByName("eth0")
	ts.Check(err)
	outside, err := netdev.CurrentNetNS()
	ts.Check(err)
	defer outside.Close()
	peer, err := eth0.Peer(outside)
	ts.Check(err)
	s.key = eth0.Key()
	ts.Setenv("KEY", s.key.String())
	ts.Setenv("NETNS", netns)
	ts.Setenv("IFINDEX", strconv.Itoa(eth0.Index))
	ts.Setenv("HOSTKEY", peer.Key().String())
	ts.Setenv("HOSTINDEX", strconv.Itoa(peer.Index))
	setMembers(ts)
}

func send(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: send N [FILE]")
	}
	count, err := strconv.Atoi(args[0])
	ts.Check(err)
	s := ts.Value(script{}).(*script)

	// To everyone, of an EtherType for local experiments (IEEE 802): 0x88b5.
	frame := append(bytes.Repeat([]byte{0xff}, 6), 2, 0, 0, 0, 0, 9, 0x88, 0xb5)
	frame = append(frame, make([]byte, 46)...)
	if len(args) > 1 {
		frame, err = hex.DecodeString(strings.Join(strings.Fields(ts.ReadFile(args[1])), ""))
		ts.Check(err)
	}
	want := counted(ts, s.key) + uint64(count)
	for range count {
		testenv.Send(s.tb, "", hostInterface, frame)
	}
	for deadline := time.Now().Add(10 * time.Second); counted(ts, s.key) < want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("chain %s counted %d packets, want %d", s.key, counted(ts, s.key), want)
		}
	}
}

// counted returns how many packets a chain has decided over.
func counted(ts *testscript.TestScript, key chain.Key) uint64 {
	stats, err := inspect.Stats(node.Default().Node)
	ts.Check(err)
	var sum uint64
	for _, c := range stats {
		for _, r := range c.Rows {
			if c.Key == key {
				sum += r.Packets
			}
		}
	}
	return sum
}

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
		left, err := doctor.Leftovers(node.Default().Node)
		ts.Check(err)
		if slices.ContainsFunc(left, func(l doctor.Leftover) bool { return l.Kind == doctor.LeftoverChain }) {
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

// newNetNS makes a network namespace, and sets VAR to its path and VAR_NAME to the name
// that ip netns has for it.
func newNetNS(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: netns VAR")
	}
	path := testenv.NewNetNS(ts.Value(script{}).(*script).tb)
	ts.Setenv(args[0], path)
	ts.Setenv(args[0]+"_NAME", filepath.Base(path))
}

// newInterface makes an interface that is up, in a network namespace or in the one that
// xdpctl runs in. A veth's other end is called after it, with "-peer".
func newInterface(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: iface KIND NAME [NETNS]")
	}
	tb, netns := ts.Value(script{}).(*script).tb, strings.Join(args[2:], "")
	attrs := netlink.NewLinkAttrs()
	attrs.Name = args[1]
	link := map[string]netlink.Link{
		"veth":   &netlink.Veth{LinkAttrs: attrs, PeerName: attrs.Name + "-peer"},
		"bridge": &netlink.Bridge{LinkAttrs: attrs},
		"tun":    &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TUN},
		"tap":    &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP},
	}[args[0]]
	var missing error
	testenv.InNetNS(tb, netns, func() error {
		err := netlink.LinkAdd(link)
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) { // ENOENT: /dev/net/tun
			missing = fmt.Errorf("interfaces of kind %s: %w", args[0], ebpf.ErrNotSupported)
			return nil
		}
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		return err
	})
	testenv.NeedKernel(tb, missing)
	if netns != "" {
		return // it goes with the namespace
	}
	tb.Cleanup(func() {
		if link, err := netlink.LinkByName(args[1]); err == nil {
			_ = netlink.LinkDel(link) // a script may have done so
		}
	})
}

// loadMember loads a member, and sets VAR to its id.
func loadMember(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: member VAR FLAGS...")
	}
	ts.Check(ts.Exec("xdpctl", append([]string{"load", "--quiet"}, args[1:]...)...))
	id := strings.TrimSpace(ts.ReadFile("stdout"))
	if _, err := strconv.ParseUint(id, 10, 31); err != nil {
		ts.Fatalf("load --quiet prints %q, want an id", id)
	}
	ts.Setenv(args[0], id)
}

// setMembers sets ID<position> and CREATED<position> of each member of the chain of a pod's
// side.
func setMembers(ts *testscript.TestScript) {
	s := ts.Value(script{}).(*script)
	chains, err := inspect.List(node.Default().Node)
	ts.Check(err)
	for _, c := range chains {
		for _, m := range c.Members {
			if c.Key == s.key {
				ts.Setenv(fmt.Sprintf("ID%d", m.Position), fmt.Sprint(m.ID))
				ts.Setenv(fmt.Sprintf("CREATED%d", m.Position), m.CreatedAt.Format(time.RFC3339Nano))
			}
		}
	}
}

// unloadEverything takes down what a script has loaded by hand, for the check that nothing is
// left.
func unloadEverything(s *script) {
	n := node.Default()
	chains, err := inspect.List(n.Node)
	if err != nil {
		s.tb.Log(err) // of what the script broke
	}
	for _, c := range chains {
		for _, m := range c.Members {
			if m.ID == 0 || m.Owner.Kind != record.OwnerCLI {
				continue
			}
			if err := n.Unload(s.tb.Context(), false, m.ID); err != nil {
				s.tb.Error(err)
			}
		}
	}
}
