// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// exit statuses, see doc.go.
const (
	exitUnread = 1
	exitUsage  = 2
)

// unreadError is about state that could not be read or shown; all other errors
// are about how xdpctl was called.
type unreadError struct{ error }

// unread makes an [unreadError] of an error, and nothing of nil.
func unread(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		err = fmt.Errorf("%w\nthe chains of a node are for root to see: run it with sudo", err)
	}
	return &unreadError{err}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	status := exitUsage
	if errors.As(err, new(*unreadError)) {
		status = exitUnread
	}
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintln(os.Stderr, "xdpctl:", line)
		}
	}
	os.Exit(status)
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "xdpctl",
		Short:         "Show the XDP chains of this node",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(listCommand(), statsCommand(), flowsCommand(), policyCommand(), versionCommand())
	return root
}
