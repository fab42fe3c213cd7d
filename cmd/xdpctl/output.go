// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/object"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
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
// people, which is made only then. It returns what kept it from that, and what was
// unreadable of the value.
func (o *output) print(value any, text func() string, unreadable error) error {
	return unread(errors.Join(o.write(o.cmd.OutOrStdout(), value, text), unreadable))
}

func (o *output) write(w io.Writer, value any, text func() string) error {
	if o.format == formatJSON || o.format == formatYAML {
		return render.Value(w, value, o.format == formatYAML)
	}
	_, err := io.WriteString(w, text())
	return err
}

// frame is what is there at one time, as a value and as a text for people.
type frame struct {
	value any
	text  func() string
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

// watch shows every second what it looks at, until the command's context is done. A chain that cannot be
// read may be there at the next look, so its error is said and not the end, unless nothing
// can be read.
func (o *output) watch(look func(render.Screen) (*frame, error)) error {
	tick := time.NewTicker(time.Second)
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

// Exit statuses other than 0. The text for --help is [exitHelp].
const (
	exitUndone  = 1 // it could not be done, or not be read
	exitUsage   = 2 // called wrongly, or refused by policy
	exitDiffers = 3 // something is not as it should be
	exitAbsent  = 4 // there is nothing of that name
)

const exitHelp = `Exit status:
  0  it was done, or everything was shown
  1  it could not be done, or something could not be read
  2  it was called wrongly (flags, values, contents of files), or policy refuses it
  3  something differs from what it should be, or is failing
  4  there is no such member, chain, pod, interface or network namespace`

// statusError is an error with the exit status it ends in; all other errors end in
// exitUsage, since they are those of package cobra.
type statusError struct {
	error
	status int
}

func (e *statusError) Unwrap() error { return e.error }

func withStatus(status int, err error) error {
	if err == nil {
		return nil
	}
	return &statusError{err, status}
}

// unread is for state that could not be read, or shown.
func unread(err error) error {
	return withStatus(exitUndone, hintRoot(err))
}

// differs is for what was looked at and is not as it should be. All is said by then, and an
// empty message ends xdpctl without a word.
func differs() error { return withStatus(exitDiffers, errors.New("")) }

// absent is for what was asked for and is not there.
func absent(err error) error { return withStatus(exitAbsent, err) }

// failed is for what package node says of a thing to be done: the status follows from
// what is behind it.
func failed(err error) error {
	if err == nil || errors.As(err, new(*statusError)) {
		return err
	}
	status := exitUndone
	switch {
	case isAny(err, state.ErrNoMember, netdev.ErrNoInterface, netdev.ErrNetNSGone):
		status = exitAbsent
	case isAny(err, fs.ErrPermission):
	case isAny(err, chain.ErrInvalid, chain.ErrTooManyMembers, config.ErrPolicy, object.ErrUnusable, catalog.ErrUnknown, catalog.ErrBroken):
		status = exitUsage
	}
	return withStatus(status, hintRoot(nextStep(err)))
}

// nextStep adds what to do about an error of package node that leaves it open.
func nextStep(err error) error {
	var step string
	switch {
	case errors.Is(err, state.ErrNoMember):
		step = "xdpctl list shows the members there are, with their ids"
	case errors.Is(err, netdev.ErrNoInterface):
		step = "--netns, --pid or --pod name another network namespace"
	case errors.Is(err, change.ErrOthers):
		step = "--force does it all the same"
	case errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, pin.ErrLocked):
		step = "--timeout gives it longer"
	default:
		return err
	}
	separator := "; "
	if strings.Contains(err.Error(), "\n") {
		separator = "\n"
	}
	return fmt.Errorf("%w%s%s", err, separator, step)
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

func hintRoot(err error) error {
	if err == nil || os.Geteuid() == 0 {
		return err
	}
	// Package ns, of the CNI project, keeps of its errors the words alone.
	if errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), unix.EPERM.Error()) {
		err = fmt.Errorf("%w\nthe chains of a node are for root to see and to change: run it with sudo", err)
	}
	return err
}

// tell writes an error to stderr, each line of it with the command's name, and below it
// the end of the verifier's log where a program was refused. It returns the exit status.
func tell(err error) int {
	for _, line := range render.Lines(err) {
		fmt.Fprintln(os.Stderr, "xdpctl:", line)
	}
	if refused, ok := errors.AsType[*dispatcher.RefusedError](err); ok {
		for _, line := range refused.Log {
			fmt.Fprintln(os.Stderr, " ", line)
		}
	}
	if as, ok := errors.AsType[*statusError](err); ok {
		return as.status
	}
	return exitUsage
}
