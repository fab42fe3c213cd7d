// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/internal/node"
)

func statsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show which member of each chain decided over how many packets",
		Args:  noArguments,
	}
	output := addFormat(cmd, formatTable, formatJSON, formatYAML)
	watch := cmd.Flags().Bool("watch", false, "show it again every second, with packets per second, until interrupted")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *watch {
			return unread(watchStats(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), *output))
		}
		now, err := take(node.Default())
		if len(now.stats) == 0 && err != nil {
			return unread(err)
		}
		return unread(errors.Join(now.print(cmd.OutOrStdout(), *output, nil), err))
	}
	return cmd
}

// watchStats prints a snapshot every second until ctx is done, each with the rates
// since the one before.
func watchStats(ctx context.Context, stdout, stderr io.Writer, as format) error {
	var before *snapshot
	return watch(ctx, stdout, stderr, as, func() (func(io.Writer) error, error) {
		now, err := take(node.Default())
		if len(now.stats) == 0 && err != nil {
			return nil, err
		}
		earlier := before
		before = now
		return func(w io.Writer) error { return now.print(w, as, earlier) }, err
	})
}
