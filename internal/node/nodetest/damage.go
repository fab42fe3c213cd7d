// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// Occupy puts a foreign program on an interface until the test ends.
func (p *Pod) Occupy(t *testing.T, side config.Side) {
	t.Helper()
	iface, foreign := p.Open(t, side), ForeignProgram(t)
	t.Cleanup(func() { iface.NetNS.Close() })
	placed, err := iface.AttachNetlink(netdev.AttachOptions{Program: foreign, Mode: chain.ModeNative})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { iface.DetachNetlink(foreign, placed.Mode) })
}

// DeleteVeth removes the pod's veth pair.
func (p *Pod) DeleteVeth(t *testing.T) {
	t.Helper()
	l, err := netlink.LinkByName(p.Host)
	if err == nil {
		err = netlink.LinkDel(l)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// MoveTo moves the pod's interface into the network namespace at a path.
func (p *Pod) MoveTo(t *testing.T, path string) {
	t.Helper()
	to, err := netns.GetFromPath(path)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	testenv.InNetNS(t, p.NetNS, func() error {
		l, err := netlink.LinkByName(p.Ifname)
		if err == nil {
			err = netlink.LinkSetNsFd(l, int(to))
		}
		return err
	})
	p.NetNS = path
}

// TakeOff detaches a netlink-attached chain behind our back.
func (p *Pod) TakeOff(t *testing.T) {
	t.Helper()
	testenv.InNetNS(t, p.NetNS, func() error {
		l, err := netlink.LinkByName(p.Ifname)
		if err != nil {
			return err
		}
		return netlink.LinkSetXdpFdWithFlags(l, -1, 1<<2) // XDP_FLAGS_DRV_MODE
	})
}

// DetachLink does what bpftool link detach does: the link stays, on no interface.
func (p *Pod) DetachLink(t *testing.T, n *node.Node) {
	t.Helper()
	l, err := link.LoadPinnedLink(filepath.Join(p.Folder(t, n), "link"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Detach(); err != nil {
		t.Fatal(err)
	}
}

// Unpin removes a pin of the chain on the pod's side, by its path in the chain's folder.
func (p *Pod) Unpin(t *testing.T, n *node.Node, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(p.Folder(t, n), name)); err != nil {
		t.Fatal(err)
	}
}

// AwaitNothing waits until the pod's side carries nothing: the kernel takes a link
// that lost its last pin down in its own time.
func (p *Pod) AwaitNothing(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); p.Attached(t, config.PodSide).ProgramID != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the chain is still on")
		}
	}
}

// AwaitGone waits until a chain's link has lost its interface.
func AwaitGone(t *testing.T, n *node.Node, key chain.Key) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		alive, err := n.LinkAlive(key)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the link is still there: %v", err)
		}
		if !alive {
			return
		}
	}
}

// Record is where a chain's record lies.
func Record(n *node.Node, key chain.Key) string {
	return filepath.Join(n.Records.Root, "chains", key.String()+".json")
}

// BreakRecord makes a chain's record one that nobody can read. At the end of the test what
// was set aside goes.
func BreakRecord(t *testing.T, n *node.Node, key chain.Key) {
	t.Helper()
	if err := os.WriteFile(Record(n, key), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ForgetBroken(t, n) })
}

// ForgetBroken removes the files that were set aside, as nobody but an operator does.
func ForgetBroken(t *testing.T, n *node.Node) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(n.Records.Root, "broken")); err != nil {
		t.Fatal(err)
	}
}
