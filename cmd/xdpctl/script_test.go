// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
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

	a := node.Attachment{
		Network: "podnet", ContainerID: "c-" + args[0], Ifname: "eth0",
		PodNamespace: "shop", PodName: args[0], NetNS: netns, Counters: true,
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
	stats, err := node.Default().Stats()
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
