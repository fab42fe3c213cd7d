// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/version"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		os.Exit(tell(err))
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "xdpctl",
		Short:         "Load, show and check the XDP chains of this node",
		Long:          "xdpctl loads XDP programs into the chains of this node's interfaces, in any network\nnamespace, and shows and checks the chains there are.\n\n" + exitHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().BoolP("quiet", "q", false, "print nothing but what was asked for, such as the id of a member")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		loadCommand(),
		unloadCommand(),
		replaceCommand(),
		listCommand(),
		getCommand(),
		statusCommand(),
		statsCommand(),
		flowsCommand(),
		checkCommand(),
		gcCommand(),
		doctorCommand(),
		policyCommand(),
		conflistCommand(),
		versionCommand(),
	)
	root.InitDefaultCompletionCmd() // else it comes when a command line is read, too late for what follows
	for _, cmd := range append(root.Commands(), root) {
		if cmd.HasSubCommands() {
			group(cmd)
		}
	}
	addCompletions(root)
	checkHelp(root)
	return root
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

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and the commit that xdpctl was built from",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "xdpctl", version.String())
			return unread(err)
		},
	}
}

// quiet tells whether a command is to print the bare data.
func quiet(cmd *cobra.Command) bool {
	q, _ := cmd.Flags().GetBool("quiet") // the flag is there
	return q
}

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

// parseIDs takes ids as they are shown.
func parseIDs(args []string) ([]record.ID, error) {
	ids := make([]record.ID, len(args))
	for i, arg := range args {
		id, err := strconv.ParseUint(arg, 10, 31)
		if err != nil || id == 0 {
			return nil, fmt.Errorf("%q is no member's id; xdpctl list shows them, as numbers from 1", arg)
		}
		ids[i] = record.ID(id)
	}
	return ids, nil
}

// parseKeys takes keys as they are shown.
func parseKeys(args []string) ([]chain.Key, error) {
	keys := make([]chain.Key, len(args))
	for i, arg := range args {
		if err := keys[i].UnmarshalText([]byte(arg)); err != nil {
			return nil, fmt.Errorf("%w; keys are in the first column of xdpctl list", err)
		}
	}
	return keys, nil
}

// flagError says in one sentence what is wrong with a flag. Package pflag hands over what
// package strconv says of a number, which names a function of Go.
func flagError(cmd *cobra.Command, err error) error {
	value, invalid := errors.AsType[*pflag.InvalidValueError](err)
	switch {
	case invalid && errors.As(err, new(*strconv.NumError)):
		return fmt.Errorf("invalid argument %q for \"--%s\" flag: want a whole number that is not too large", value.GetValue(), value.GetFlag().Name)
	case invalid:
		return err // says what the flag takes
	}
	return fmt.Errorf("%w; %s --help shows the flags", err, cmd.CommandPath())
}

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

// runWithin gives a subcommand the flag --timeout, and what it runs a context that ends then.
func runWithin(cmd *cobra.Command, run func(ctx context.Context, args []string) error) {
	t := timeout(10 * time.Second) // longer than any change takes on a machine that is not overloaded
	cmd.Flags().Var(&t, "timeout", "how long it may take, others' locks included")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), time.Duration(t))
		defer cancel()
		return run(ctx, args)
	}
}
