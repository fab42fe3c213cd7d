// SPDX-License-Identifier: Apache-2.0

package doctor_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

func TestCheckChain(t *testing.T) {
	testenv.KernelIndependent(t)
	for _, tt := range []struct {
		name   string
		attach chain.Attach
		change func(t *testing.T, n *node.Node, p *nodetest.Pod)
		says   []string
	}{
		{"nothing", chain.AttachLink, func(*testing.T, *node.Node, *nodetest.Pod) {}, nil},
		{"map unpinned", chain.AttachLink, func(t *testing.T, n *node.Node, p *nodetest.Pod) {
			p.Unpin(t, n, "maps/count/traffic")
		}, []string{`the pin of map "traffic" of member "count" is missing`}},
		{"replaced by a foreign program", chain.AttachNetlink, func(t *testing.T, n *node.Node, p *nodetest.Pod) {
			p.TakeOff(t)
			p.Occupy(t, config.PodSide)
		}, []string{"was replaced: the interface carries XDP program"}},
		{"interface gone", chain.AttachLink, func(t *testing.T, n *node.Node, p *nodetest.Pod) {
			key := p.Key(t, config.PodSide)
			p.DeleteVeth(t)
			nodetest.AwaitGone(t, n, key)
		}, []string{"its interface is gone"}},
		{"record lost", chain.AttachLink, func(t *testing.T, n *node.Node, p *nodetest.Pod) {
			if err := os.Remove(nodetest.Record(n, p.Key(t, config.PodSide))); err != nil {
				t.Fatal(err)
			}
		}, []string{"its record is missing or broken", "its link still holds it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := node.Default(), nodetest.NewPod(t, 0)
			p.Attach = tt.attach
			p.Apply(t, n, nodetest.Programs("count", "pass")...)
			key := p.Key(t, config.PodSide)
			tt.change(t, n, p)
			list, err := doctor.CheckAll(t.Context(), n.Node)
			if err != nil || len(list) != 1 || list[0].Key != key {
				t.Fatalf("%+v, %v; want chain %s alone", list, err, key)
			}
			got := strings.Join(list[0].Differences, "\n")
			if len(tt.says) == 0 && got != "" {
				t.Errorf("differences: %s; want none", got)
			}
			nodetest.WantWords(t, got, tt.says...)
			p.Remove(t, n)
			if _, err := doctor.CheckChain(t.Context(), n.Node, key); !errors.Is(err, doctor.ErrNoChain) {
				t.Errorf("of a chain that was removed: %v", err)
			}
		})
	}
}

// Chains that an operator made have no attachment; theirs are checked all the same.
func TestCheckManualChain(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	m := p.Load(t, n, "pass", 50)
	list, err := doctor.CheckAll(t.Context(), n.Node)
	if err != nil || len(list) != 1 || len(list[0].Differences) > 0 {
		t.Errorf("%+v, %v; want one chain without differences", list, err)
	}
	nodetest.Unload(t, n, m.ID)
}

// A chain that is being changed is waited for, and not for ever.
func TestCheckChainWaits(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("pass")...)
	key := p.Key(t, config.PodSide)
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
	p.Remove(t, n)
}

// A member that libxdp's tools took off is missed.
func TestCheckChainMissesAMember(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewLibxdpPod(t)
	p.Apply(t, n, nodetest.Programs("count", "pass")...)
	x := p.Tool(t, n)
	x.Change(t, n, nodetest.AllBut("pass"), 0)
	c, err := doctor.CheckChain(t.Context(), n.Node, p.Key(t, config.PodSide))
	if err != nil || len(c.Differences) != 1 || !strings.Contains(c.Differences[0], `member "pass"`) {
		t.Errorf("%+v, %v; want member pass to be missed", c, err)
	}
	p.Remove(t, n)
}
