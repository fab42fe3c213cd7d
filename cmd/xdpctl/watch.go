// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// watchInterval is how often --watch looks.
const watchInterval = time.Second

// watch takes a look every second until ctx is done, and prints what it got, which is
// nil where nothing could be read. A chain that cannot be read may be there at the
// next look, so its error is said and not the end, unless nothing can be read.
func watch(ctx context.Context, stdout, stderr io.Writer, as format, look func() (print func(io.Writer) error, err error)) error {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	screen := newScreen(stdout)
	for {
		print, err := look()
		if print == nil {
			return err
		}
		if err := printFrame(screen.frame(), as, print); err != nil {
			return err
		}
		if err != nil {
			fmt.Fprintln(stderr, "xdpctl:", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// printFrame tells documents of YAML apart; those of JSON end where they end.
func printFrame(w io.Writer, as format, print func(io.Writer) error) error {
	if as == formatYAML {
		if _, err := io.WriteString(w, "---\n"); err != nil {
			return err
		}
	}
	return print(w)
}
