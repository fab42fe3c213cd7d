// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/bpf"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// What takes a libxdp chain off without libxdp, as root in the pod may, leaves its pins.
// The next ADD makes it anew, and they do not outlive that.
func TestLibxdpTakenOffAndAddedAgain(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewLibxdpPod(t)
	p.Apply(t, n, nodetest.Programs("count")...)
	p.TakeOff(t)
	p.Apply(t, n, nodetest.Programs("count")...)
	p.Check(t, n)
	if pinned, err := p.Tool(t, n).Tree.Dispatches(); len(pinned) != 1 || err != nil {
		t.Errorf("pinned are %v, %v", pinned, err)
	}
	p.Remove(t, n)
}

// Libxdp's tools took our chain off and made one of their own, in another version: that
// is joined as it is.
func TestLibxdpMadeAnewInAnotherVersion(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewLibxdpPod(t)
	p.Apply(t, n, nodetest.Programs("count")...)
	x := p.Tool(t, n)
	x.Change(t, n, nodetest.None, 0)
	x.Version = chain.LibxdpV3
	x.Change(t, n, nodetest.None, 5, "pass")
	p.Apply(t, n, nodetest.Programs("count")...)
	p.Check(t, n)
	if c := p.Chain(t, n, config.PodSide); c.LibxdpVersion != chain.LibxdpV3 {
		t.Errorf("a chain of version 3 was joined and is of version %s", c.LibxdpVersion)
	}
	p.Shows(t, n, nodetest.Theirs(0, "pass", 5), nodetest.Ours(1, "count", 10))
	x.Change(t, n, nodetest.AllBut("pass"), 0)
	p.Remove(t, n)
}

// Libxdp's tools have another interface of the pod to themselves, of which no record
// tells. Its pins stay with it, and go with it.
func TestLibxdpOnAnotherInterface(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewLibxdpPod(t)
	second := *p
	second.Ifname, second.Host = "net1", p.Host+"x"
	testenv.Veth(t, p.NetNS, second.Ifname, second.Host, 0)
	for _, gone := range [][]*nodetest.Pod{{p}, {p, &second}} {
		if len(gone) == 2 {
			testenv.Veth(t, p.NetNS, p.Ifname, p.Host, 0)
		}
		p.Apply(t, n, nodetest.Programs("count")...)
		x := nodetest.Tool{Pod: &second, Tree: p.Tool(t, n).Tree}
		x.Change(t, n, nodetest.All, 15, "pass")
		for _, pod := range gone {
			pod.DeleteVeth(t)
		}
		nodetest.Sweep(t, n)
		pinned, err := x.Tree.Dispatches()
		if len(pinned) != 2-len(gone) || err != nil {
			t.Errorf("with %d interfaces gone, pinned are %v, %v", len(gone), pinned, err)
		}
	}
}

// The sweep, which is in the way of a pod that starts, does not wait for libxdp's tools.
func TestSweepPassesOverALockedTree(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewLibxdpPod(t)
	p.Apply(t, n, nodetest.Programs("count")...)
	lock, err := p.Tool(t, n).Tree.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.DeleteVeth(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := n.Sweep(ctx, 16); err != nil || ctx.Err() != nil {
		t.Errorf("sweep: %v, %v", err, ctx.Err())
	}
	if keys, err := n.Keys(); len(keys) != 1 || err != nil {
		t.Errorf("chains left: %v, %v", keys, err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	nodetest.Sweep(t, n)
}

// A dispatcher of a version that is not known yet is a program like any other.
func TestLibxdpVersionToCome(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	putVersionToCome(t, p)
	p.Programs = nodetest.Programs("count")
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, netdev.ErrBusy) {
		t.Errorf("ADD: %v, want %v", err, netdev.ErrBusy)
	}
}

// One that took the place of ours keeps no verb from its work.
func TestLibxdpVersionToComeInOurPlace(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewLibxdpPod(t)
	p.Apply(t, n, nodetest.Programs("count")...)
	p.TakeOff(t)
	putVersionToCome(t, p)
	if err := n.Check(t.Context(), p.Attachment); !errors.Is(err, state.ErrDiffers) {
		t.Errorf("CHECK: %v, want %v", err, state.ErrDiffers)
	}
	p.Chain(t, n, config.PodSide)
	p.Remove(t, n)
	if a := p.Attached(t, config.PodSide); a.ProgramID == 0 {
		t.Error("DEL took off what is not ours")
	}
}

// putVersionToCome attaches a dispatcher that says it is of version 4.
func putVersionToCome(t *testing.T, p *nodetest.Pod) {
	t.Helper()
	object, err := bpf.Dispatchers.ReadFile("dispatcher/v2.o")
	if err != nil {
		t.Fatal(err)
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	const versionAt = 1 // struct xdp_dispatcher_config
	spec.Maps[".rodata"].Contents[0].Value.([]byte)[versionAt] = 4
	spec.Variables = nil
	loaded, err := ebpf.NewCollection(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	iface := p.Open(t, config.PodSide)
	defer iface.NetNS.Close()
	if _, err := iface.AttachNetlink(netdev.AttachOptions{Program: loaded.Programs[libxdp.ProgramName], Mode: chain.ModeNative}); err != nil {
		t.Fatal(err)
	}
}

// Without its record, what is left of a chain is known by the links in its folder. The
// members of libxdp's tools on another interface of the namespace are not ours.
func TestLibxdpBrokenRecord(t *testing.T) {
	testenv.NeedFreplace(t)
	n, p := node.Default(), nodetest.NewLibxdpPod(t)
	p.Apply(t, n, nodetest.Programs("count")...)
	c, tree := p.Chain(t, n, config.PodSide), p.Tool(t, n).Tree
	others := pin.Dispatch{Ifindex: c.Ifindex + 1, ID: 1}
	folder := filepath.Join(tree.BPFFS(), "xdp", others.String())
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	nodetest.BreakRecord(t, n, c.Key)
	p.Remove(t, n)
	left, err := tree.Dispatches()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]pin.Dispatch{others}, left); diff != "" {
		t.Errorf("dispatchers with pins (-want +got):\n%s", diff)
	}
	if keys, err := n.Keys(); len(keys) != 0 || err != nil {
		t.Errorf("left: %v, %v", keys, err)
	}
	if err := os.RemoveAll(tree.BPFFS()); err != nil {
		t.Error(err)
	}
}

// An ADD after the record was lost finds its members by their links, and has them once.
func TestLibxdpBrokenRecordThenADD(t *testing.T) {
	testenv.NeedFreplace(t)
	n := node.Default()
	for _, others := range []bool{false, true} {
		p := nodetest.NewLibxdpPod(t)
		p.Apply(t, n, nodetest.Programs("count", "drop")...)
		want := []inspect.Member{nodetest.Ours(0, "count", 10), nodetest.Ours(1, "drop", 20)}
		if others {
			p.Tool(t, n).Change(t, n, nodetest.All, 15, "pass")
			want = []inspect.Member{nodetest.Ours(0, "count", 10), nodetest.Theirs(1, "pass", 15), nodetest.Ours(2, "drop", 20)}
		}
		nodetest.BreakRecord(t, n, p.Key(t, config.PodSide))
		p.Apply(t, n, nodetest.Programs("count", "drop")...)
		p.Check(t, n)
		p.Shows(t, n, want...)
		p.Remove(t, n)
		if a := p.Attached(t, config.PodSide); (a.ProgramID != 0) != others {
			t.Errorf("others' members there: %t; after DEL the interface carries %v", others, a)
		}
		p.Vanish(t, n)
	}
}
