// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/internal/node"
)

func listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the chains of this node and their members in running order",
		Long: "List the chains of this node and their members in running order. --iface, --netns, --pid\n" +
			"and --pod show those of one interface, of one network namespace, or of one pod.",
		Args: noArguments,
	}
	p := addPlace(cmd)
	output := addFormat(cmd, formatTable, formatWide, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		n := node.Default()
		shows, err := p.selection(n)
		if err != nil {
			return err
		}
		chains, err := n.List()
		if len(chains) == 0 && err != nil {
			return unread(err)
		}
		chains = selected(chains, shows)
		out := cmd.OutOrStdout()
		switch {
		case output.structured():
		case quiet(cmd):
			return unread(errors.Join(printIDs(out, chains), err))
		case len(chains) == 0:
			_, printErr := fmt.Fprintln(out, p.noChains())
			return unread(errors.Join(printErr, err))
		}
		return unread(errors.Join(printList(newPage(out, *output), *output, chains, time.Now()), err))
	}
	return cmd
}

// noChains says where there are none.
func (p *place) noChains() string {
	switch {
	case p.iface != "":
		return "no chain on " + p.where()
	case p.elsewhere():
		return "no chains in " + p.space()
	}
	return "no chains on this node"
}

// selected keeps the chains that a selection takes.
func selected(chains []node.Chain, takes func(*node.Chain) bool) []node.Chain {
	kept := make([]node.Chain, 0, len(chains))
	for _, c := range chains {
		if takes(&c) {
			kept = append(kept, c)
		}
	}
	return kept
}

// printIDs prints what unload takes.
func printIDs(w io.Writer, chains []node.Chain) error {
	var out strings.Builder
	for _, c := range chains {
		for _, m := range c.Members {
			if m.ID != 0 {
				fmt.Fprintln(&out, m.ID)
			}
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func printList(p page, as format, chains []node.Chain, now time.Time) error {
	if as.structured() {
		return printValue(p, as, chains)
	}
	heads, members := chainTable(chains).lines(p), memberTable(chains, now).lines(p)
	var out strings.Builder
	out.WriteString(heads[0] + members[0])
	next := 1
	for i, c := range chains {
		out.WriteString(heads[i+1])
		for _, reason := range reasons(c) {
			out.WriteString(p.note(reason))
		}
		for range c.Members {
			out.WriteString(members[next])
			next++
		}
	}
	_, err := io.WriteString(p, out.String())
	return err
}
