// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// balance says where the packets of a flood went.
type balance struct {
	full    uint64 // never taken in: the veth's ring was full
	taken   uint64 // taken in by the veth
	decided uint64 // in the chain's counters
	passed  uint64 // seen by the network stack, which should see none
}

// takeBalance waits until the veth has taken in what was sent, and reads where the
// packets went.
func takeBalance(n *node.Node, p *pod, f *flood, t *tap) (balance, error) {
	var b balance
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(settle) {
		stats, err := p.statistics()
		if err != nil {
			return b, err
		}
		still := b.taken == stats.RxPackets
		b.taken, b.full = stats.RxPackets, stats.RxDropped
		if still && b.taken+b.full >= f.sent {
			break
		}
		if time.Now().After(deadline) {
			return b, fmt.Errorf("of at least %d packets sent, %s took in %d and turned %d away", f.sent, p.name, b.taken, b.full)
		}
	}
	all, err := n.Stats()
	if err != nil {
		return b, err
	}
	if len(all) != 1 {
		return b, fmt.Errorf("there are %d chains, want the one that was flooded", len(all))
	}
	for _, row := range all[0].Rows {
		if row.Member != "drop" || row.Verdict != chain.VerdictDrop {
			return b, fmt.Errorf("member %s decided %s over %d packets, which member drop should have", row.Member, row.Verdict, row.Packets)
		}
		b.decided += row.Packets
	}
	b.passed, err = t.seen()
	return b, err
}

// statistics are those of the pod's interface. A veth counts as received what its
// XDP program has seen, and as dropped what the ring had no room for
// (veth_get_stats64, drivers/net/veth.c).
func (p *pod) statistics() (*netlink.LinkStatistics, error) {
	var stats *netlink.LinkStatistics
	err := p.do(func() error {
		l, err := netlink.LinkByName(podInterface)
		if err != nil {
			return err
		}
		if stats = l.Attrs().Statistics; stats == nil {
			return errors.New("the kernel gives no statistics")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the statistics of pod %s: %w", p.name, err)
	}
	return stats, nil
}

// report adds where they went, by which way to attach.
func (b balance) report(s *section, by string) {
	s.add("turned away by a full ring"+by, float64(b.full), "packets")
	s.add("taken in"+by, float64(b.taken), "packets")
	s.add("decided by the chain"+by, float64(b.decided), "packets")
	s.add("past the chain"+by, float64(b.passed), "packets").atMost(0)
	// More decided than taken in would be as wrong as less.
	lost := float64(b.taken) - float64(b.decided)
	s.add("lost or counted twice"+by, max(lost, -lost), "packets").atMost(0)
}
