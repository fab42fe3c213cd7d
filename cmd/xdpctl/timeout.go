// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
)

// defaultTimeout is longer than any change takes on a machine that is not overloaded.
const defaultTimeout = 10 * time.Second

// timeout bounds a change: how long it may wait for others who change the same chain,
// and for the kernel.
type timeout time.Duration

// String prints the duration.
func (t *timeout) String() string { return time.Duration(*t).String() }

// Type names the value in help texts.
func (t *timeout) Type() string { return "duration" }

// Set takes a duration that is more than none.
func (t *timeout) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return errors.New("give a time such as 10s or 2m")
	}
	*t = timeout(d)
	return nil
}

func addTimeout(cmd *cobra.Command) *timeout {
	t := timeout(defaultTimeout)
	cmd.Flags().Var(&t, "timeout", "how long it may take, others' locks included")
	return &t
}

func (t *timeout) context(parent context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(parent, time.Duration(*t))
}
