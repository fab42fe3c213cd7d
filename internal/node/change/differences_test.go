// SPDX-License-Identifier: Apache-2.0

package change_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

func unpin(n *node.Node, name string) func(t *testing.T, p *nodetest.Pod) {
	return func(t *testing.T, p *nodetest.Pod) { p.Unpin(t, n, name) }
}

func TestCheckSaysWhatDiffers(t *testing.T) {
	n := node.Default()
	thirty := 30
	drop := chain.ActionSetOf(chain.Drop)
	for _, tt := range []struct {
		name   string
		attach chain.Attach
		change func(t *testing.T, p *nodetest.Pod)
		says   []string
	}{
		{"link unpinned", chain.AttachLink, func(t *testing.T, p *nodetest.Pod) {
			p.Unpin(t, n, "link")
			p.AwaitNothing(t)
		}, []string{"is gone: the interface carries no XDP program", "pin of its link is missing"}},
		{"link detached", chain.AttachLink, func(t *testing.T, p *nodetest.Pod) {
			p.DetachLink(t, n)
		}, []string{"is gone: the interface carries no XDP program"}},
		{"counters unpinned", chain.AttachLink, unpin(n, "counters"), []string{"pin of its counters is missing"}},
		{"map unpinned", chain.AttachLink, unpin(n, "maps/count/traffic"), []string{`pin of map "traffic" of member "count" is missing`}},
		{"taken off", chain.AttachNetlink, func(t *testing.T, p *nodetest.Pod) {
			p.TakeOff(t)
		}, []string{"is gone: the interface carries no XDP program"}},
		{"replaced", chain.AttachNetlink, func(t *testing.T, p *nodetest.Pod) {
			p.TakeOff(t)
			p.Occupy(t, config.PodSide)
		}, []string{"was replaced: the interface carries XDP program", "(foreign)"}},
		{"interface gone", chain.AttachLink, func(t *testing.T, p *nodetest.Pod) { p.DeleteVeth(t) }, []string{"no such interface", "eth0"}},
		{"namespace gone", chain.AttachLink, func(t *testing.T, p *nodetest.Pod) { testenv.RemoveNetNS(t, p.NetNS) }, []string{netdev.ErrNetNSGone.Error()}},
		{"configured member missing", chain.AttachLink, func(t *testing.T, p *nodetest.Pod) {
			p.Programs = nodetest.Programs("count", "pass", "drop")
		}, []string{`member "drop" is missing`}},
		{"member not configured", chain.AttachLink, func(t *testing.T, p *nodetest.Pod) {
			p.Programs = nodetest.Programs("count")
		}, []string{`member "pass" is in the chain and not in the configuration`}},
		{"side not configured", chain.AttachLink, func(t *testing.T, p *nodetest.Pod) {
			p.Programs[0], p.Programs[1] = nodetest.OnHost(p.Programs[0]), nodetest.OnHost(p.Programs[1])
		}, []string{"has members in chain", "has no chain"}},
		{"other place", chain.AttachLink, func(t *testing.T, p *nodetest.Pod) {
			p.Programs[0].Priority, p.Programs[1].ProceedOn = &thirty, &drop
		}, []string{`member "count" has priority 10, configured is 30`, `member "pass" proceeds on pass,dispatcher_return, configured is drop`}},
		{"never added", chain.AttachLink, func(t *testing.T, p *nodetest.Pod) { p.Remove(t, n) }, []string{"has no chain"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := nodetest.NewPod(t, 0)
			p.Attach = tt.attach
			p.Apply(t, n, nodetest.Programs("count", "pass")...)
			if err := n.Check(t.Context(), p.Attachment); err != nil {
				t.Fatalf("before anything differs: %v", err)
			}
			tt.change(t, p)
			err := n.Check(t.Context(), p.Attachment)
			if !errors.Is(err, state.ErrDiffers) {
				t.Fatalf("got %v, want a state.ErrDiffers", err)
			}
			nodetest.WantWords(t, fmt.Sprint(err), tt.says...)
			p.Remove(t, n)
		})
	}
}

func TestApplyMendsWhatDiffers(t *testing.T) {
	n := node.Default()
	for _, tt := range []struct {
		name   string
		attach chain.Attach
		damage func(t *testing.T, p *nodetest.Pod)
	}{
		{"link unpinned", chain.AttachLink, unpin(n, "link")},
		{"link detached", chain.AttachLink, func(t *testing.T, p *nodetest.Pod) { p.DetachLink(t, n) }},
		{"counters unpinned", chain.AttachLink, unpin(n, "counters")},
		{"map unpinned", chain.AttachNetlink, unpin(n, "maps/count/traffic")},
		{"taken off", chain.AttachNetlink, func(t *testing.T, p *nodetest.Pod) { p.TakeOff(t) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := nodetest.NewPod(t, 0)
			p.Attach = tt.attach
			p.Apply(t, n, nodetest.Programs("count", "drop")...)
			tt.damage(t, p)
			p.Apply(t, n, nodetest.Programs("count", "drop")...)
			p.Check(t, n)
			p.Send(t, n, 1)
			p.Remove(t, n)
		})
	}
}
