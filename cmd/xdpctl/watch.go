// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/table"
)

// watchInterval is how often --watch looks.
const watchInterval = time.Second

// frame is what is there at one time, as a value and as a text for people.
type frame struct {
	value any
	text  string
}

// addWatch makes a subcommand of what it looks at: it shows that once, or with --watch
// every second. look returns nil where nothing could be read.
func addWatch(cmd *cobra.Command, usage string, look func(table.Screen) (*frame, error)) {
	out := addOutput(cmd, formatTable, formatJSON, formatYAML)
	repeat := cmd.Flags().Bool("watch", false, usage)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *repeat {
			return unread(out.watch(look))
		}
		f, err := look(out.screen())
		if f == nil {
			return unread(err)
		}
		return out.print(f.value, f.text, err)
	}
}

// watch shows what it looks at until the command's context is done. A chain that cannot be
// read may be there at the next look, so its error is said and not the end, unless nothing
// can be read.
func (o *output) watch(look func(table.Screen) (*frame, error)) error {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		f, err := look(o.screen())
		if f == nil {
			return err
		}
		if err := o.writeFrame(f); err != nil {
			return err
		}
		if err != nil {
			fmt.Fprintln(o.cmd.ErrOrStderr(), "xdpctl:", err)
		}
		select {
		case <-o.cmd.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}

// writeFrame writes frames over one another on a terminal, and one after the other
// elsewhere. It tells documents of YAML apart; those of JSON end where they end.
func (o *output) writeFrame(f *frame) error {
	w, before := o.cmd.OutOrStdout(), ""
	if table.IsTerminal(w) {
		before = "\x1b[H\x1b[J" // cursor home, erase to the end (ECMA-48 CUP and ED)
	}
	if o.format == formatYAML {
		before += "---\n"
	}
	if _, err := io.WriteString(w, before); err != nil {
		return err
	}
	return o.write(w, f.value, f.text)
}
