// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/pkg/node"
	"github.com/xdp-chain/xdp-chain/pkg/record"
)

func listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the chains of this node and their members in running order",
		Args:  cobra.NoArgs,
	}
	output := addFormat(cmd, formatTable, formatWide, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		chains, err := node.Default().List()
		if len(chains) == 0 && err != nil {
			return unread(err)
		}
		return unread(errors.Join(printList(cmd.OutOrStdout(), *output, chains), err))
	}
	return cmd
}

func printList(w io.Writer, as format, chains []node.Chain) error {
	if as.structured() {
		return printValue(w, as, chains)
	}
	if len(chains) == 0 {
		_, err := fmt.Fprintln(w, "no chains on this node")
		return err
	}
	heads, members := chainLines(chains), memberLines(chains)
	var out bytes.Buffer
	out.WriteString(heads[0])
	for i, c := range chains {
		out.WriteString(heads[i+1])
		out.WriteString(reasonLines(c))
		for range c.Members {
			out.WriteString(members[0])
			members = members[1:]
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

// chainLines returns the table of the chains, a line each, below its header.
func chainLines(chains []node.Chain) []string {
	return alignedLines(func(w io.Writer) {
		fmt.Fprintln(w, "CHAIN\tPOD\tINTERFACE\tSIDE\tMODE\tDISPATCHER")
		for _, c := range chains {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", c.Key, podOf(c), c.Interface, c.Side, c.Mode, c.Dispatcher)
		}
	})
}

// memberLines returns a line for each member of each chain, aligned over all.
func memberLines(chains []node.Chain) []string {
	return alignedLines(func(w io.Writer) {
		for _, c := range chains {
			for _, m := range c.Members {
				fmt.Fprintf(w, "  %d\t%s\tproceeds on %s%s\n", m.Priority, m.Name, m.ProceedOn, whose(m))
			}
		}
	})
}

// whose tells members that are not ours from those that are.
func whose(m node.ChainMember) string {
	if m.Owner.Kind == record.OwnerLibxdp {
		return fmt.Sprintf(" (of libxdp's tools, program %d)", m.ProgramID)
	}
	return ""
}

// reasonLines says why a chain is not what its network would rather have, and what else
// there is for its sake.
func reasonLines(c node.Chain) string {
	var lines string
	if c.ModeReason != "" {
		lines += fmt.Sprintf("  mode %s: %s\n", c.Mode, c.ModeReason)
	}
	if c.DispatcherReason != "" {
		lines += fmt.Sprintf("  dispatcher %s: %s\n", c.Dispatcher, c.DispatcherReason)
	}
	if c.PeerGRO != "" {
		lines += fmt.Sprintf("  GRO is on at %s, the other end, for members that transmit\n", c.PeerGRO)
	}
	if c.LibxdpStatus != "" {
		lines += fmt.Sprintf("  with libxdp's tools: %s\n", c.LibxdpStatus)
	}
	return lines
}

// podOf names the pods whose chain it is, or the network namespace where none is
// known.
func podOf(c node.Chain) string {
	var pods []string
	seen := make(map[string]bool)
	for _, o := range c.Owners {
		if pod := o.PodNamespace + "/" + o.PodName; o.PodName != "" && !seen[pod] {
			seen[pod] = true
			pods = append(pods, pod)
		}
	}
	if len(pods) == 0 {
		return c.NetNS
	}
	return strings.Join(pods, ",")
}

// alignedLines returns the lines that print writes, their columns aligned.
func alignedLines(print func(io.Writer)) []string {
	var buf bytes.Buffer
	w := tabwriter.NewWriter(&buf, 0, 0, 2, ' ', 0)
	print(w)
	_ = w.Flush() // a bytes.Buffer takes everything
	return strings.SplitAfter(buf.String(), "\n")
}
