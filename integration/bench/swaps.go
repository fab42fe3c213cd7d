// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// measureSwaps changes a chain again and again under a flood of packets, all of
// which its last member drops, and looks for packets that the chain did not see.
func measureSwaps(ctx context.Context, z sizes) (*section, error) {
	s := &section{Name: "swaps", Title: fmt.Sprintf("%d swaps under load, for each way to attach", z.swaps)}
	for _, attach := range []chain.Attach{chain.AttachLink, chain.AttachNetlink} {
		if err := measureSwapsBy(ctx, s, z, attach); err != nil {
			return nil, fmt.Errorf("by %s: %w", attach, err)
		}
	}
	return s, nil
}

func measureSwapsBy(ctx context.Context, s *section, z sizes, attach chain.Attach) (err error) {
	p, err := newPod("flooded-" + attach.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.remove()) }()
	n := node.Default()
	a := node.Attachment{
		Network: network, ContainerID: p.name, Ifname: podInterface, NetNS: p.path,
		Mode: chain.ModeNative, Attach: attach, Counters: true, Programs: dropping(0),
	}
	if err := n.Apply(ctx, a); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, n.Remove(context.WithoutCancel(ctx), a.Network, a.ContainerID, a.Ifname))
	}()
	tap, err := newTap(p)
	if err != nil {
		return err
	}
	defer tap.close()
	f, err := startFlood(p.name)
	if err != nil {
		return err
	}
	var took samples
	for i := range z.swaps {
		a.Programs = dropping(1 - i%2)
		start := time.Now()
		if err := n.Apply(ctx, a); err != nil {
			return errors.Join(err, f.stop())
		}
		took = append(took, time.Since(start))
	}
	if err := f.stop(); err != nil {
		return err
	}
	b, err := takeBalance(n, p, f, tap)
	if err != nil {
		return err
	}
	b.report(s, " by "+attach.String())
	s.add(fmt.Sprintf("a swap by %s, in process", attach), ms(took.median()), "ms")
	return nil
}

// dropping is a chain that ends with a member that drops everything and stays in
// the chain, behind so many that come and go.
func dropping(before int) []config.Program {
	list := programs(before)
	last := chain.DefaultPriority + 1
	return append(list, config.Program{Name: "drop", Priority: &last})
}
