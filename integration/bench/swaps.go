// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xdp-chain/xdp-chain/integration/bench/report"
	"github.com/xdp-chain/xdp-chain/integration/bench/workload"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// measureSwaps changes a chain again and again under a flood of packets, all of
// which its last member drops, and looks for packets that the chain did not see.
func measureSwaps(ctx context.Context, z sizes) (*report.Section, error) {
	s := &report.Section{Name: "swaps", Title: fmt.Sprintf("%d swaps under load, for each way to attach", z.swaps)}
	return s, byEachAttach(ctx, s, z, measureSwapsBy)
}

// byEachAttach measures a chain that a link holds, and then one that the interface does.
func byEachAttach(ctx context.Context, s *report.Section, z sizes, measure func(context.Context, *report.Section, sizes, chain.Attach) error) error {
	for _, attach := range []chain.Attach{chain.AttachLink, chain.AttachNetlink} {
		if err := measure(ctx, s, z, attach); err != nil {
			return fmt.Errorf("by %s: %w", attach, err)
		}
	}
	return nil
}

func measureSwapsBy(ctx context.Context, s *report.Section, z sizes, attach chain.Attach) (err error) {
	p, err := workload.NewPod("flooded-" + attach.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Remove()) }()
	n := node.Default()
	a := resolve.Attachment{
		Owner: record.Owner{Network: network, ContainerID: p.Name, Ifname: workload.PodInterface}, NetNS: p.Path,
		Requested: config.Requested{Mode: chain.ModeNative, Attach: attach}, Counters: true, Programs: dropping(0),
	}
	if err := n.Apply(ctx, a); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, n.Remove(context.WithoutCancel(ctx), a.Network, a.ContainerID, a.Ifname))
	}()
	var took report.Samples
	b, err := underFlood(n, p, func() error {
		for i := range z.swaps {
			a.Programs = dropping(1 - i%2)
			start := time.Now()
			if err := n.Apply(ctx, a); err != nil {
				return err
			}
			took = append(took, time.Since(start))
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.report(s, " by "+attach.String())
	s.Add(fmt.Sprintf("a swap by %s, in process", attach), report.Milliseconds(took.Median()), "ms")
	return nil
}

// dropping is a chain that ends with a member that drops everything and stays in
// the chain, behind so many that come and go.
func dropping(before int) []config.Program {
	list := workload.Programs(before)
	last := chain.DefaultPriority + 1
	return append(list, config.Program{Name: "drop", Priority: &last})
}

// measureLoads loads a member by hand and unloads it, again and again, in front of one that
// drops a flood of packets, and looks for packets that the chain did not see and for what
// grows.
func measureLoads(ctx context.Context, z sizes) (*report.Section, error) {
	s := &report.Section{Name: "loads", Title: fmt.Sprintf("%d loads and unloads by hand under load, for each way to attach", z.loads)}
	return s, byEachAttach(ctx, s, z, measureLoadsBy)
}

func measureLoadsBy(ctx context.Context, s *report.Section, z sizes, attach chain.Attach) (err error) {
	p, err := workload.NewPod("loads-" + attach.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Remove()) }()
	h := manual{node.Default(), node.Load{
		Place:     node.Place{NetNS: p.Path, Interface: workload.PodInterface},
		Requested: config.Requested{Mode: chain.ModeNative, Attach: attach},
	}}
	if _, err := h.load(ctx, dropping(0)[0]); err != nil {
		return err
	}
	defer func() {
		_, unloadErr := h.UnloadAll(context.WithoutCancel(ctx), h.what.Place, false)
		err = errors.Join(err, unloadErr)
	}()
	var grown stock
	var loads, unloads report.Samples
	b, err := underFlood(h.Node, p, func() (err error) {
		grown, loads, unloads, err = h.churn(ctx, z)
		return err
	})
	if err != nil {
		return err
	}
	by := " by " + attach.String()
	b.report(s, by)
	grown.report(s, by)
	s.Add("a load"+by+", in process", report.Milliseconds(loads.Median()), "ms")
	s.Add("an unload"+by+", in process", report.Milliseconds(unloads.Median()), "ms")
	return nil
}

// manual is an operator who works on one interface.
type manual struct {
	*node.Node
	what node.Load
}

func (h manual) load(ctx context.Context, p config.Program) (inspect.Member, error) {
	l := h.what
	if l.Program = p; p.Object == "" {
		l.Entry = p.Name
	}
	return h.Load(ctx, l)
}

// churn loads and unloads, and tells what has grown since the first ones of that, which
// fill caches.
func (h manual) churn(ctx context.Context, z sizes) (grown stock, loads, unloads report.Samples, err error) {
	var before stock
	for i := range z.loadsFirst + z.loads {
		if i == z.loadsFirst {
			if before, err = takeStock(); err != nil {
				return stock{}, nil, nil, err
			}
		}
		start := time.Now()
		m, err := h.load(ctx, workload.Programs(1)[0])
		if err != nil {
			return stock{}, nil, nil, err
		}
		loads = append(loads, time.Since(start))
		start = time.Now()
		if err := h.Unload(ctx, false, m.ID); err != nil {
			return stock{}, nil, nil, err
		}
		unloads = append(unloads, time.Since(start))
	}
	after, err := takeStock()
	return after.minus(before), loads, unloads, err
}
