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

// measureLoads loads a member by hand and unloads it, again and again, in front of one that
// drops a flood of packets, and looks for packets that the chain did not see and for what
// grows.
func measureLoads(ctx context.Context, z sizes) (*section, error) {
	s := &section{Name: "loads", Title: fmt.Sprintf("%d loads and unloads by hand under load, for each way to attach", z.loads)}
	for _, attach := range []chain.Attach{chain.AttachLink, chain.AttachNetlink} {
		if err := measureLoadsBy(ctx, s, z, attach); err != nil {
			return nil, fmt.Errorf("by %s: %w", attach, err)
		}
	}
	return s, nil
}

func measureLoadsBy(ctx context.Context, s *section, z sizes, attach chain.Attach) (err error) {
	p, err := newPod("loads-" + attach.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.remove()) }()
	h := hand{node.Default(), node.Load{
		Place: node.Place{NetNS: p.path, Interface: podInterface}, Mode: chain.ModeNative, Attach: attach,
	}}
	if _, err := h.load(ctx, dropping(0)[0]); err != nil {
		return err
	}
	defer func() {
		_, unloadErr := h.UnloadAll(context.WithoutCancel(ctx), h.wish.Place, false)
		err = errors.Join(err, unloadErr)
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
	grown, loads, unloads, err := h.churn(ctx, z)
	if err := errors.Join(err, f.stop()); err != nil {
		return err
	}
	b, err := takeBalance(h.Node, p, f, tap)
	if err != nil {
		return err
	}
	by := " by " + attach.String()
	b.report(s, by)
	grown.report(s, by)
	s.add("a load"+by+", in process", ms(loads.median()), "ms")
	s.add("an unload"+by+", in process", ms(unloads.median()), "ms")
	return nil
}

// hand is an operator who works on one interface.
type hand struct {
	*node.Node
	wish node.Load
}

func (h hand) load(ctx context.Context, p config.Program) (node.ChainMember, error) {
	l := h.wish
	if l.Program = p; p.Object == "" {
		l.Entry = p.Name
	}
	return h.Load(ctx, l)
}

// churn loads and unloads, and tells what has grown since the first ones of that, which
// fill caches.
func (h hand) churn(ctx context.Context, z sizes) (grown stock, loads, unloads samples, err error) {
	var before stock
	for i := range z.loadsFirst + z.loads {
		if i == z.loadsFirst {
			if before, err = takeStock(); err != nil {
				return stock{}, nil, nil, err
			}
		}
		start := time.Now()
		m, err := h.load(ctx, programs(1)[0])
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
