// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
)

func gcCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gc [--dry-run]",
		Short: "Remove what dead chains, pods and processes have left on this node",
		Long: "Remove what is dead for good: chains whose interface or network namespace is gone, pins\n" +
			"without a record, shared maps that no pod shares any more, libxdp's pins of network\n" +
			"namespaces that are gone, objects that no chain needs, and what killed processes left.\n" +
			"Chains that run are not touched, nor is what somebody works on.",
		Args: noArguments,
	}
	dry := cmd.Flags().Bool("dry-run", false, "say what would be removed, and change nothing")
	// Each chain takes some tens of milliseconds to come off.
	timeout := cmd.Flags().Duration("timeout", 2*time.Minute, "how long to go on")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		n := node.Default()
		if *dry {
			left, err := doctor.Leftovers(n.Node)
			return unread(errors.Join(printLeftovers(cmd.OutOrStdout(), "would remove", left, err), err))
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		removed, err := doctor.RemoveLeftovers(ctx, n.Node)
		if quiet(cmd) {
			return unread(err)
		}
		return unread(errors.Join(printLeftovers(cmd.OutOrStdout(), "removed", removed, err), err))
	}
	return cmd
}

// printLeftovers prints a line for each. That there are none is said only where everything
// was looked at.
func printLeftovers(w io.Writer, verb string, left []doctor.Leftover, failed error) error {
	if len(left) == 0 && failed == nil {
		_, err := fmt.Fprintln(w, "nothing to remove")
		return err
	}
	for _, l := range left {
		if _, err := fmt.Fprintln(w, verb, render.Printable(l.String())); err != nil {
			return err
		}
	}
	return nil
}
