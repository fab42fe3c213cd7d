// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	flowstats "github.com/xdp-chain/xdp-chain/bpf/flow-stats"
	"github.com/xdp-chain/xdp-chain/internal/node"
)

// flowTable is what stands below the line of a chain's member: what is particular about
// it, and its flows.
func flowTable(c node.ChainFlows, now time.Time) string {
	var notes string
	for _, note := range []string{c.Shared, c.Reason} {
		if note != "" {
			notes += "  " + note + "\n"
		}
	}
	rows := flowRows(c, now)
	switch {
	case c.Reason != "":
		return notes
	case len(rows) == 0:
		return notes + "  no packets yet\n"
	}
	packets, bytes := len("PACKETS"), len("BYTES")
	for _, r := range rows {
		packets = max(packets, len(strconv.FormatUint(r.Packets, 10)))
		bytes = max(bytes, len(strconv.FormatUint(r.Bytes, 10)))
	}
	return notes + strings.Join(alignedLines(func(w io.Writer) {
		fmt.Fprintf(w, "  PROTO\tSOURCE\tDESTINATION\t%*s\t%*s\tFIRST\tLAST\n", packets, "PACKETS", bytes, "BYTES")
		for _, r := range rows {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%*d\t%*d%s\n", r.protocol, r.source, r.destination, packets, r.Packets, bytes, r.Bytes, r.times)
		}
	}), "")
}

// flowRow is a row of the table: a flow, or what is of none.
type flowRow struct {
	protocol, source, destination string
	flowstats.Traffic
	times string // the last two cells, each after a tab
}

// flowRows returns the flows, and below them what is of none, where it is not zero.
func flowRows(c node.ChainFlows, now time.Time) []flowRow {
	var rows []flowRow
	for _, f := range c.Flows {
		rows = append(rows, flowRow{
			protocol: f.Protocol.String(), source: end(f, f.Source, f.SourcePort), destination: end(f, f.Destination, f.DestinationPort),
			Traffic: f.Traffic, times: fmt.Sprintf("\t%5s\t%4s", ago(now.Sub(f.FirstSeen)), ago(now.Sub(f.LastSeen))),
		})
	}
	for _, r := range []flowRow{
		{source: "(forgotten)", Traffic: c.Forgotten},
		{source: "(not IP)", Traffic: c.NotIP},
		{source: "(unreadable)", Traffic: c.Unreadable},
	} {
		if r.Packets > 0 {
			rows = append(rows, r)
		}
	}
	return rows
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
