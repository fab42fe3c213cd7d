// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

func TestCheckSaysWhatDiffers(t *testing.T) {
	n := Default()
	unpin := func(name string) func(t *testing.T, p *pod) {
		return func(t *testing.T, p *pod) {
			if err := os.Remove(filepath.Join(p.folder(t, n), name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	thirty := 30
	drop := chain.ActionSetOf(chain.Drop)
	for _, tt := range []struct {
		name   string
		attach chain.Attach
		change func(t *testing.T, p *pod)
		says   []string
	}{
		{"link unpinned", chain.AttachLink, func(t *testing.T, p *pod) {
			unpin("link")(t, p)
			p.awaitNothing(t)
		}, []string{"is gone: the interface carries no XDP program", "pin of its link is missing"}},
		{"link detached", chain.AttachLink, func(t *testing.T, p *pod) {
			p.detachLink(t, n)
		}, []string{"is gone: the interface carries no XDP program"}},
		{"counters unpinned", chain.AttachLink, unpin("counters"), []string{"pin of its counters is missing"}},
		{"map unpinned", chain.AttachLink, unpin("maps/count/traffic"), []string{`pin of map "traffic" of member "count" is missing`}},
		{"taken off", chain.AttachNetlink, func(t *testing.T, p *pod) {
			p.takeOff(t)
		}, []string{"is gone: the interface carries no XDP program"}},
		{"replaced", chain.AttachNetlink, func(t *testing.T, p *pod) {
			p.takeOff(t)
			p.occupy(t, config.PodSide)
		}, []string{"was replaced: the interface carries XDP program", "(foreign)"}},
		{"interface gone", chain.AttachLink, func(t *testing.T, p *pod) { p.deleteVeth(t) }, []string{"no such interface", "eth0"}},
		{"namespace gone", chain.AttachLink, func(t *testing.T, p *pod) { testenv.RemoveNetNS(t, p.NetNS) }, []string{p404}},
		{"configured member missing", chain.AttachLink, func(t *testing.T, p *pod) {
			p.Programs = programs("count", "pass", "drop")
		}, []string{`member "drop" is missing`}},
		{"member not configured", chain.AttachLink, func(t *testing.T, p *pod) {
			p.Programs = programs("count")
		}, []string{`member "pass" is in the chain and not in the configuration`}},
		{"side not configured", chain.AttachLink, func(t *testing.T, p *pod) {
			p.Programs[0], p.Programs[1] = onHost(p.Programs[0]), onHost(p.Programs[1])
		}, []string{"has members in chain", "has no chain"}},
		{"other place", chain.AttachLink, func(t *testing.T, p *pod) {
			p.Programs[0].Priority, p.Programs[1].ProceedOn = &thirty, &drop
		}, []string{`member "count" has priority 10, configured is 30`, `member "pass" proceeds on pass,dispatcher_return, configured is drop`}},
		{"never added", chain.AttachLink, func(t *testing.T, p *pod) { p.remove(t, n) }, []string{"has no chain"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := newPod(t, 0)
			p.Attach = tt.attach
			p.apply(t, n, programs("count", "pass")...)
			if err := n.Check(t.Context(), p.Attachment); err != nil {
				t.Fatalf("before anything differs: %v", err)
			}
			tt.change(t, p)
			err := n.Check(t.Context(), p.Attachment)
			if !errors.Is(err, state.ErrDiffers) {
				t.Fatalf("got %v, want an state.ErrDiffers", err)
			}
			for _, words := range tt.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("got %q, want it to say %q", err, words)
				}
			}
			p.remove(t, n)
		})
	}
}

func (p *pod) deleteVeth(t *testing.T) {
	t.Helper()
	l, err := netlink.LinkByName(p.host)
	if err == nil {
		err = netlink.LinkDel(l)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// awaitNothing waits until the pod's side carries nothing: the kernel takes a link
// that lost its last pin down in its own time.
func (p *pod) awaitNothing(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); p.attached(t, config.PodSide).ProgramID != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the chain is still on")
		}
	}
}

// p404 is how a namespace that is gone is worded by netdev.
var p404 = netdev.ErrNetNSGone.Error()

// folder is where the pod's side has its pins.
func (p *pod) folder(t *testing.T, n *Node) string {
	t.Helper()
	return filepath.Join(n.BPFFS.Root, "xdp-chain/chains", p.chain(t, n, config.PodSide).Key.String())
}

// detachLink does what bpftool link detach does: the link stays, on no interface.
func (p *pod) detachLink(t *testing.T, n *Node) {
	t.Helper()
	l, err := link.LoadPinnedLink(filepath.Join(p.folder(t, n), "link"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Detach(); err != nil {
		t.Fatal(err)
	}
}

// takeOff detaches a netlink-attached chain behind our back.
func (p *pod) takeOff(t *testing.T) {
	t.Helper()
	testenv.InNetNS(t, p.NetNS, func() error {
		l, err := netlink.LinkByName(p.Ifname)
		if err != nil {
			return err
		}
		return netlink.LinkSetXdpFdWithFlags(l, -1, 1<<2) // XDP_FLAGS_DRV_MODE
	})
}

func TestApplyMendsWhatDiffers(t *testing.T) {
	n := Default()
	unpin := func(name string) func(t *testing.T, p *pod) {
		return func(t *testing.T, p *pod) {
			if err := os.Remove(filepath.Join(p.folder(t, n), name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		attach chain.Attach
		damage func(t *testing.T, p *pod)
	}{
		{"link unpinned", chain.AttachLink, unpin("link")},
		{"link detached", chain.AttachLink, func(t *testing.T, p *pod) { p.detachLink(t, n) }},
		{"counters unpinned", chain.AttachLink, unpin("counters")},
		{"map unpinned", chain.AttachNetlink, unpin("maps/count/traffic")},
		{"taken off", chain.AttachNetlink, func(t *testing.T, p *pod) { p.takeOff(t) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := newPod(t, 0)
			p.Attach = tt.attach
			p.apply(t, n, programs("count", "drop")...)
			tt.damage(t, p)
			p.apply(t, n, programs("count", "drop")...)
			if err := n.Check(t.Context(), p.Attachment); err != nil {
				t.Error(err)
			}
			p.send(t, n, 1)
			p.remove(t, n)
		})
	}
}
