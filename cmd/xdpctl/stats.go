// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/pkg/node"
)

// watchInterval is how often stats --watch looks.
const watchInterval = time.Second

func statsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show which member of each chain decided over how many packets",
		Args:  cobra.NoArgs,
	}
	output := addFormat(cmd)
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

// watchStats prints a snapshot every second until ctx is done. A chain that cannot
// be read may be there at the next, so it is said and not the end, unless nothing
// can be read.
func watchStats(ctx context.Context, stdout, stderr io.Writer, as format) error {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	screen := newScreen(stdout)
	var before *snapshot
	for {
		now, err := take(node.Default())
		if len(now.stats) == 0 && err != nil {
			return err
		}
		if err := now.print(screen.frame(), as, before); err != nil {
			return err
		}
		if err != nil {
			fmt.Fprintln(stderr, "xdpctl:", err)
		}
		before = now
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
