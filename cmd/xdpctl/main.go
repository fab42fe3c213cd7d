// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/internal/version"
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
