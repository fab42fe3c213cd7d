// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/bpf"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// What takes a libxdp chain off without libxdp, as root in the pod may, leaves its pins.
// The next ADD makes it anew, and they do not outlive that.
func TestLibxdpTakenOffAndAddedAgain(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := Default(), newLibxdpPod(t)
	p.apply(t, n, programs("count")...)
	p.takeOff(t)
	p.apply(t, n, programs("count")...)
	p.check(t, n)
	if pinned, err := p.tool(t, n).tree.Dispatches(); len(pinned) != 1 || err != nil {
		t.Errorf("pinned are %v, %v", pinned, err)
	}
	p.remove(t, n)
}

// Libxdp's tools took our chain off and made one of their own, in another version: that
// is joined as it is.
func TestLibxdpMadeAnewInAnotherVersion(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := Default(), newLibxdpPod(t)
	p.apply(t, n, programs("count")...)
	x := p.tool(t, n)
	none := func(state.Slot) bool { return false }
	x.change(t, n, none, 0)
	x.version = chain.LibxdpV3
	x.change(t, n, none, 5, "pass")
	p.apply(t, n, programs("count")...)
	p.check(t, n)
	if c := p.listed(t, n); c.LibxdpVersion != chain.LibxdpV3 {
		t.Errorf("a chain of version 3 was joined and is of version %s", c.LibxdpVersion)
	}
	p.shows(t, n, theirs(0, "pass", 5), ours(1, "count", 10))
	x.change(t, n, func(s state.Slot) bool { return s.Function != "pass" }, 0)
	p.remove(t, n)
}

// Libxdp's tools have another interface of the pod to themselves, of which no record
// tells. Its pins stay with it, and go with it.
func TestLibxdpOnAnotherInterface(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := Default(), newLibxdpPod(t)
	second := *p
	second.Ifname, second.host = "net1", p.host+"x"
	testenv.Veth(t, p.NetNS, second.Ifname, second.host, 0)
	for _, gone := range [][]*pod{{p}, {p, &second}} {
		if len(gone) == 2 {
			testenv.Veth(t, p.NetNS, p.Ifname, p.host, 0)
		}
		p.apply(t, n, programs("count")...)
		x := tool{pod: &second, tree: p.tool(t, n).tree}
		x.change(t, n, all(), 15, "pass")
		for _, pod := range gone {
			pod.deleteVeth(t)
		}
		if err := n.Sweep(t.Context(), 16); err != nil {
			t.Error(err)
		}
		pinned, err := x.tree.Dispatches()
		if len(pinned) != 2-len(gone) || err != nil {
			t.Errorf("with %d interfaces gone, pinned are %v, %v", len(gone), pinned, err)
		}
	}
}

// The sweep, which is in the way of a pod that starts, does not wait for libxdp's tools.
func TestSweepPassesOverALockedTree(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := Default(), newLibxdpPod(t)
	p.apply(t, n, programs("count")...)
	lock, err := p.tool(t, n).tree.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.deleteVeth(t)
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
	if err := n.Sweep(t.Context(), 16); err != nil {
		t.Error(err)
	}
}

// A dispatcher of a version that is not known yet is a program like any other.
func TestLibxdpVersionToCome(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.putVersionToCome(t)
	p.Programs = programs("count")
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, netdev.ErrBusy) {
		t.Errorf("ADD: %v, want %v", err, netdev.ErrBusy)
	}
}

// One that took the place of ours keeps no verb from its work.
func TestLibxdpVersionToComeInOurPlace(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := Default(), newLibxdpPod(t)
	p.apply(t, n, programs("count")...)
	p.takeOff(t)
	p.putVersionToCome(t)
	if err := n.Check(t.Context(), p.Attachment); !errors.Is(err, state.ErrDiffers) {
		t.Errorf("CHECK: %v, want %v", err, state.ErrDiffers)
	}
	p.listed(t, n)
	p.remove(t, n)
	if a := p.attached(t, config.PodSide); a.ProgramID == 0 {
		t.Error("DEL took off what is not ours")
	}
}

// putVersionToCome attaches a dispatcher that says it is of version 4.
func (p *pod) putVersionToCome(t *testing.T) {
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
	iface := p.open(t, config.PodSide)
	defer iface.NetNS.Close()
	if _, err := iface.AttachNetlink(netdev.AttachOptions{Program: loaded.Programs[libxdp.ProgramName], Mode: chain.ModeNative}); err != nil {
		t.Fatal(err)
	}
}
