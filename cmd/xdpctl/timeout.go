// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// timeout bounds a change: how long it may wait for others who change the same chain,
// and for the kernel.
type timeout time.Duration

func addTimeout(cmd *cobra.Command) *timeout {
	t := new(timeout)
	cmd.Flags().DurationVar((*time.Duration)(t), "timeout", 10*time.Second, "how long it may take, others' locks included")
	return t
}

func (t *timeout) context(parent context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(parent, time.Duration(*t))
}
