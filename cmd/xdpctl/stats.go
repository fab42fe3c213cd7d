// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func statsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show which member of each chain decided over how many packets",
		Args:  noArguments,
	}
	var before *sample // of the look before
	addWatch(cmd, "show it again every second, with packets per second, until interrupted", func(s render.Screen) (*frame, error) {
		stats, err := inspect.Stats(node.Default().Node)
		// What could be read is shown even where there is an error.
		if len(stats) == 0 && err != nil {
			return nil, err
		}
		now, last := &sample{time.Now(), stats}, before
		before = now
		return &frame{stats, func() string { return now.text(s, last) }}, err
	})
	return cmd
}

// sample is the counts of all chains at one time.
type sample struct {
	at    time.Time
	stats []inspect.ChainStats
}

// text has a line for each count that is not zero, below those of a chain their total, and
// a sentence where the chain does not count. With an earlier sample it shows rates besides.
func (now *sample) text(s render.Screen, before *sample) string {
	if len(now.stats) == 0 {
		return "no chains on this node\n"
	}
	perSecond := ""
	if before != nil {
		perSecond = "PER SECOND"
	}
	t := render.New("", render.Col("CHAIN"), render.Col("POD"), render.Col("INTERFACE"), render.Col("DECIDED BY"), render.Col("VERDICT"),
		render.Col("PACKETS"), render.Col(perSecond))
	for _, c := range now.stats {
		head := []any{c.Key, podOf(c.Owners, c.NetNS), c.Interface} // of the chain's first line alone
		add := func(cells ...any) {
			t.Add(append(head, cells...)...)
			head = []any{"", "", ""}
		}
		var total uint64
		for _, r := range c.Rows {
			total += r.Packets
			add(r.Member, r.Verdict, alignedPackets(r.Packets), now.rate(r.Packets, before, c.Key, &r))
		}
		if c.Reason == "" || total > 0 {
			add("total", "", alignedPackets(total), now.rate(total, before, c.Key, nil))
		}
		if c.State != state.Running {
			add(fmt.Sprintf("%s: %s", c.State, c.Reason))
		} else if c.Reason != "" {
			add(c.Reason)
		}
	}
	return t.Text(s)
}

// alignedPackets aligns a number with the title of its column as long as it fits below it.
func alignedPackets(n uint64) string { return fmt.Sprintf("%*d", len("PACKETS"), n) }

// rate returns what came a second of a number of packets, where there is an earlier
// sample of the chain. row is nil for the total.
func (now *sample) rate(packets uint64, before *sample, key chain.Key, row *chain.Count) string {
	if before == nil {
		return ""
	}
	at := slices.IndexFunc(before.stats, func(c inspect.ChainStats) bool { return c.Key == key })
	if at < 0 {
		return ""
	}
	var earlier uint64
	for _, r := range before.stats[at].Rows {
		if row == nil || r.Member == row.Member && r.Verdict == row.Verdict {
			earlier += r.Packets
		}
	}
	if packets < earlier {
		return ""
	}
	rate := float64(packets-earlier) / now.at.Sub(before.at).Seconds()
	return fmt.Sprintf("%*.0f", len("PER SECOND"), rate)
}
