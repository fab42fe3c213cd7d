// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

func TestCheckChain(t *testing.T) {
	testenv.KernelIndependent(t)
	for _, tt := range []struct {
		name   string
		attach chain.Attach
		change func(t *testing.T, n *Node, p *pod)
		says   []string
	}{
		{"nothing", chain.AttachLink, func(*testing.T, *Node, *pod) {}, nil},
		{"map unpinned", chain.AttachLink, func(t *testing.T, n *Node, p *pod) {
			remove(t, filepath.Join(p.folder(t, n), "maps/count/traffic"))
		}, []string{`the pin of map "traffic" of member "count" is missing`}},
		{"replaced by a foreign program", chain.AttachNetlink, func(t *testing.T, n *Node, p *pod) {
			p.takeOff(t)
			p.occupy(t, config.PodSide)
		}, []string{"was replaced: the interface carries XDP program"}},
		{"interface gone", chain.AttachLink, func(t *testing.T, n *Node, p *pod) {
			key := p.chain(t, n, config.PodSide).Key
			p.deleteVeth(t)
			p.awaitGone(t, n, key)
		}, []string{"its interface is gone"}},
		{"record lost", chain.AttachLink, func(t *testing.T, n *Node, p *pod) {
			remove(t, filepath.Join(n.Records.Root, "chains", p.chain(t, n, config.PodSide).Key.String()+".json"))
		}, []string{"its record is missing or broken", "its link still holds it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := Default(), newPod(t, 0)
			p.Attach = tt.attach
			p.apply(t, n, programs("count", "pass")...)
			key := p.chain(t, n, config.PodSide).Key
			tt.change(t, n, p)
			list, err := doctor.CheckAll(t.Context(), n.Node)
			if err != nil || len(list) != 1 || list[0].Key != key {
				t.Fatalf("%+v, %v; want chain %s alone", list, err, key)
			}
			if got := strings.Join(list[0].Differences, "\n"); len(tt.says) == 0 && got != "" {
				t.Errorf("differences: %s; want none", got)
			} else {
				for _, words := range tt.says {
					if !strings.Contains(got, words) {
						t.Errorf("differences: %s; want %q", got, words)
					}
				}
			}
			p.remove(t, n)
			if _, err := doctor.CheckChain(t.Context(), n.Node, key); !errors.Is(err, doctor.ErrNoChain) {
				t.Errorf("of a chain that was removed: %v", err)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// Chains that an operator made have no attachment; theirs are checked all the same.
func TestCheckChainByHand(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	m := p.load(t, n, "pass", 50)
	list, err := doctor.CheckAll(t.Context(), n.Node)
	if err != nil || len(list) != 1 || len(list[0].Differences) > 0 {
		t.Errorf("%+v, %v; want one chain without differences", list, err)
	}
	if err := n.Unload(t.Context(), false, m.ID); err != nil {
		t.Fatal(err)
	}
}

// A chain that is being changed is waited for, and not for ever.
func TestCheckChainWaits(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("pass")...)
	key := p.chain(t, n, config.PodSide).Key
	lock, err := n.BPFFS.Lock(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	brief, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := doctor.CheckChain(brief, n.Node, key); !errors.Is(err, pin.ErrLocked) {
		t.Errorf("while it is locked: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { _ = lock.Unlock() })
	if c, err := doctor.CheckChain(t.Context(), n.Node, key); err != nil || len(c.Differences) > 0 {
		t.Errorf("after it was let go: %+v, %v", c, err)
	}
	p.remove(t, n)
}

// A member that libxdp's tools took off is missed.
func TestCheckChainMissesAMember(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := Default(), newLibxdpPod(t)
	p.apply(t, n, programs("count", "pass")...)
	x := p.tool(t, n)
	x.change(t, n, func(s state.Slot) bool { return s.Function != "pass" }, 0)
	c, err := doctor.CheckChain(t.Context(), n.Node, p.chain(t, n, config.PodSide).Key)
	if err != nil || len(c.Differences) != 1 || !strings.Contains(c.Differences[0], `member "pass"`) {
		t.Errorf("%+v, %v; want member pass to be missed", c, err)
	}
	p.remove(t, n)
}
