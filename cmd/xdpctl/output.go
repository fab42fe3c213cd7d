// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
)

// The formats in which subcommands print.
const (
	formatTable = "table"
	formatWide  = "wide" // a table with all columns, none of them cut
	formatText  = "text" // a sentence
	formatJSON  = "json"
	formatYAML  = "yaml"
)

// output is the flag -o of a subcommand, and prints as that says. It is a
// [github.com/spf13/pflag.Value].
type output struct {
	cmd    *cobra.Command
	format string
	choice []string
}

// addOutput gives a subcommand the flag -o with the formats it has, of which the first
// is the default.
func addOutput(cmd *cobra.Command, choice ...string) *output {
	o := &output{cmd, choice[0], choice}
	cmd.Flags().VarP(o, "output", "o", "how to print")
	return o
}

// String returns the chosen format's name.
func (o *output) String() string { return o.format }

// Type names the values in help texts.
func (o *output) Type() string { return strings.Join(o.choice, "|") }

// Set takes a format's name; anything else is an error that lists the names.
func (o *output) Set(name string) error {
	if !slices.Contains(o.choice, name) {
		return fmt.Errorf("use one of %s", strings.Join(o.choice, ", "))
	}
	o.format = name
	return nil
}

// screen is what fits where tables are printed.
func (o *output) screen() render.Screen {
	return render.ScreenOf(o.cmd.OutOrStdout(), o.format == formatWide)
}

// print prints a value for programs, where that is asked for, or else the text of it for
// people. It returns what kept it from that, and what was unreadable of the value.
func (o *output) print(value any, text string, unreadable error) error {
	return unread(errors.Join(o.write(o.cmd.OutOrStdout(), value, text), unreadable))
}

func (o *output) write(w io.Writer, value any, text string) error {
	if o.format == formatJSON || o.format == formatYAML {
		return render.Value(w, value, o.format == formatYAML)
	}
	_, err := io.WriteString(w, text)
	return err
}

// watchInterval is how often --watch looks.
const watchInterval = time.Second

// frame is what is there at one time, as a value and as a text for people.
type frame struct {
	value any
	text  string
}

// addWatch makes a subcommand of what it looks at: it shows that once, or with --watch
// every second. look returns nil where nothing could be read.
func addWatch(cmd *cobra.Command, usage string, look func(render.Screen) (*frame, error)) {
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
func (o *output) watch(look func(render.Screen) (*frame, error)) error {
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
	if render.IsTerminal(w) {
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
