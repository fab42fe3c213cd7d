// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What follows is as cobra's functions of about the same names, but for the sentences.

// noArguments is for subcommands whose flags say it all.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%q is one word too many; %s --help shows what %s takes", args[0], cmd.CommandPath(), cmd.Name())
}

// oneID is for subcommands that are about one member.
func oneID(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return fmt.Errorf("which member? Give one id, as xdpctl list shows them: %s 7", cmd.CommandPath())
}

// files is for subcommands that read files.
func files(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return nil
	}
	return fmt.Errorf("which file? Give one or more, such as %s /etc/cni/net.d/10-podnet.conflist", cmd.CommandPath())
}

// group makes of a command that has only subcommands one that shows its help, and takes
// no word that is none of them.
func group(cmd *cobra.Command) {
	cmd.Use += " COMMAND"
	cmd.DisableFlagsInUseLine = true
	cmd.SuggestionsMinimumDistance = 2 // letters, as cobra has it where it suggests by itself
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		next := "--help lists those there are"
		if alike := cmd.SuggestionsFor(args[0]); len(alike) > 0 {
			next = fmt.Sprintf("did you mean %s?", strings.Join(alike, " or "))
		}
		return fmt.Errorf("unknown command %q for %q; %s", args[0], cmd.CommandPath(), next)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// checkHelp has help refuse words that name no command, as those commands do: cobra's own
// shows the commands there are, and ends as if that were what was asked for.
func checkHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, err := root.Find([]string{"help"})
	if err != nil {
		panic(err) // it was made just now
	}
	help.Args = func(_ *cobra.Command, args []string) error {
		cmd, rest, err := root.Find(args)
		switch {
		case err != nil:
			return err
		case cmd.HasSubCommands():
			return cmd.ValidateArgs(rest)
		}
		return noArguments(cmd, rest)
	}
}

// flagError says in one sentence what is wrong with a flag. Package pflag hands over what
// package strconv says of a number, which names a function of Go.
func flagError(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	switch {
	case errors.As(err, &value) && errors.As(err, new(*strconv.NumError)):
		return fmt.Errorf("invalid argument %q for \"--%s\" flag: want a whole number that is not too large", value.GetValue(), value.GetFlag().Name)
	case errors.As(err, &value):
		return err // says what the flag takes
	}
	return fmt.Errorf("%w; %s --help shows the flags", err, cmd.CommandPath())
}
