// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	flowstats "github.com/xdp-chain/xdp-chain/bpf/flow-stats"
	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
)

func flowsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "flows",
		Short: "Show the flows that members flow-stats have counted, the largest first",
		Args:  noArguments,
	}
	addWatch(cmd, "show them again every second, until interrupted", func(s render.Screen) (*frame, error) {
		chains, err := inspect.Flows(node.Default().Node)
		if len(chains) == 0 && err != nil {
			return nil, err
		}
		return &frame{chains, func() string { return flowsText(s, chains, time.Now()) }}, err
	})
	return cmd
}

// flowsText has a line for each member flow-stats, and below it what is particular about
// it, and its flows.
func flowsText(s render.Screen, chains []inspect.ChainFlows, now time.Time) string {
	if len(chains) == 0 {
		return "no chain on this node has a member flow-stats\n"
	}
	t := render.New("", render.Col("CHAIN"), render.Col("POD"), render.Col("INTERFACE"), render.Col("SIDE"), render.Col("MEMBER"))
	for _, c := range chains {
		t.Add(c.Key, cmp.Or(podOfOwner(c.Owner), spacePath(c.NetNS)), c.Interface, c.Side, c.Member)
		for _, note := range []string{c.Shared, c.Reason} {
			if note != "" {
				t.AddText("  " + note + "\n")
			}
		}
		if c.Reason == "" {
			t.AddText(flowTable(s, c, now))
		}
	}
	return t.Text(s)
}

// flowTable has a line for each flow, and below them one for each kind of what is of none,
// where it is not zero.
func flowTable(s render.Screen, c inspect.ChainFlows, now time.Time) string {
	if len(c.Flows) == 0 && c.Forgotten.Packets+c.NotIP.Packets+c.Unreadable.Packets == 0 {
		return "  no packets yet\n"
	}
	t := render.New("  ", render.Col("PROTO"), render.Col("SOURCE"), render.Col("DESTINATION"),
		render.Col("PACKETS", render.Right), render.Col("BYTES", render.Right), render.Col("FIRST", render.Right), render.Col("LAST", render.Right))
	for _, f := range c.Flows {
		t.Add(f.Protocol, end(f, f.Source, f.SourcePort), end(f, f.Destination, f.DestinationPort), f.Packets, f.Bytes,
			ago(now.Sub(f.FirstSeen)), ago(now.Sub(f.LastSeen)))
	}
	for _, r := range []struct {
		name string
		flowstats.Traffic
	}{{"(forgotten)", c.Forgotten}, {"(not IP)", c.NotIP}, {"(unreadable)", c.Unreadable}} {
		if r.Packets > 0 {
			t.Add("", r.name, "", r.Packets, r.Bytes, "", "")
		}
	}
	return t.Text(s)
}

// end prints one end of a flow. Fragments that have no ports show none.
func end(f flowstats.Flow, a netip.Addr, port uint16) string {
	if f.LaterFragments || !f.Protocol.HasPorts() {
		return a.String()
	}
	return netip.AddrPortFrom(a, port).String()
}

// ago prints how long ago something was, in the largest unit that says more than one of
// it: "119s", "119m", "47h", "2d".
func ago(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", max(d, 0)/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}
