// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// snapshot is the counts of all chains at one time.
type snapshot struct {
	at    time.Time
	stats []node.ChainStats
	pods  map[chain.Key]string
}

// take reads the counts of the node's chains. What could be read is in the
// snapshot even where there is an error.
func take(n *node.Node) (*snapshot, error) {
	stats, err := n.Stats()
	s := &snapshot{at: time.Now(), stats: stats, pods: make(map[chain.Key]string)}
	// The same records are read; what is wrong with them is in err already.
	chains, _ := n.List()
	for _, c := range chains {
		s.pods[c.Key] = podOf(c)
	}
	return s, err
}

// print writes the snapshot. With an earlier one it shows rates besides.
func (s *snapshot) print(w io.Writer, as format, before *snapshot) error {
	if as.structured() {
		return printValue(w, as, s.stats)
	}
	if len(s.stats) == 0 {
		_, err := fmt.Fprintln(w, "no chains on this node")
		return err
	}
	var out bytes.Buffer
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "CHAIN\tPOD\tINTERFACE\tDECIDED BY\tVERDICT\tPACKETS")
	if before != nil {
		fmt.Fprint(table, "\tPER SECOND")
	}
	fmt.Fprintln(table)
	for _, c := range s.stats {
		name := fmt.Sprintf("%s\t%s\t%s", c.Key, s.pods[c.Key], c.Interface)
		for _, cells := range s.rows(c, before) {
			fmt.Fprintf(table, "%s\t%s\n", name, cells)
			name = "\t\t"
		}
	}
	_ = table.Flush() // a bytes.Buffer takes everything
	_, err := w.Write(out.Bytes())
	return err
}

// rows returns the cells of a chain's rows: one for each count that is not zero,
// their total, and a sentence where the chain does not count.
func (s *snapshot) rows(c node.ChainStats, before *snapshot) []string {
	var rows []string
	var total uint64
	for _, r := range c.Rows {
		total += r.Packets
		rows = append(rows, fmt.Sprintf("%s\t%s\t", r.Member, r.Verdict)+s.figures(r.Packets, before, c.Key, &r))
	}
	if c.Reason == "" || total > 0 {
		rows = append(rows, "total\t\t"+s.figures(total, before, c.Key, nil))
	}
	if c.Reason != "" {
		rows = append(rows, c.Reason)
	}
	return rows
}

// figures returns the cells of a number of packets, and of what came a second
// where there is an earlier snapshot of the chain. row is nil for the total.
func (s *snapshot) figures(packets uint64, before *snapshot, key chain.Key, row *chain.Count) string {
	cells := fmt.Sprintf("%*d", len("PACKETS"), packets)
	if before == nil {
		return cells
	}
	earlier, ok := before.packets(key, row)
	if !ok || packets < earlier {
		return cells
	}
	rate := float64(packets-earlier) / s.at.Sub(before.at).Seconds()
	return fmt.Sprintf("%s\t%*.0f", cells, len("PER SECOND"), rate)
}

// packets returns what a row of a chain counted, or the chain's total where row is
// nil, and false where the chain is not in the snapshot.
func (s *snapshot) packets(key chain.Key, row *chain.Count) (uint64, bool) {
	for _, c := range s.stats {
		if c.Key != key {
			continue
		}
		var sum uint64
		for _, r := range c.Rows {
			if row == nil || r.Member == row.Member && r.Verdict == row.Verdict {
				sum += r.Packets
			}
		}
		return sum, true
	}
	return 0, false
}
