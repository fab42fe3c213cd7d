// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/internal/node"
)

func flowsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "flows",
		Short: "Show the flows that members flow-stats have counted, the largest first",
		Args:  noArguments,
	}
	output := addFormat(cmd, formatTable, formatJSON, formatYAML)
	repeat := cmd.Flags().Bool("watch", false, "show them again every second, until interrupted")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *repeat {
			return unread(watchFlows(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), *output))
		}
		chains, err := node.Default().Flows()
		if len(chains) == 0 && err != nil {
			return unread(err)
		}
		return unread(errors.Join(printFlows(cmd.OutOrStdout(), *output, chains, time.Now()), err))
	}
	return cmd
}

func watchFlows(ctx context.Context, stdout, stderr io.Writer, as format) error {
	return watch(ctx, stdout, stderr, as, func() (func(io.Writer) error, error) {
		chains, err := node.Default().Flows()
		if len(chains) == 0 && err != nil {
			return nil, err
		}
		return func(w io.Writer) error { return printFlows(w, as, chains, time.Now()) }, err
	})
}

func printFlows(w io.Writer, as format, chains []node.ChainFlows, now time.Time) error {
	if as.structured() {
		return printValue(w, as, chains)
	}
	if len(chains) == 0 {
		_, err := fmt.Fprintln(w, "no chain on this node has a member flow-stats")
		return err
	}
	heads := alignedLines(func(w io.Writer) {
		fmt.Fprintln(w, "CHAIN\tPOD\tINTERFACE\tSIDE\tMEMBER")
		for _, c := range chains {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.Key, podOfFlows(c), c.Interface, c.Side, c.Member)
		}
	})
	var out bytes.Buffer
	out.WriteString(heads[0])
	for i, c := range chains {
		out.WriteString(heads[i+1])
		out.WriteString(flowTable(c, now))
	}
	_, err := w.Write(out.Bytes())
	return err
}

// podOfFlows names the pod that wants the member, or the network namespace where none
// is known.
func podOfFlows(c node.ChainFlows) string {
	if c.Owner.PodName == "" {
		return spacePath(c.NetNS)
	}
	return c.Owner.PodNamespace + "/" + c.Owner.PodName
}
