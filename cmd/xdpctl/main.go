// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
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

// quiet tells whether a command is to print the bare data.
func quiet(cmd *cobra.Command) bool {
	q, _ := cmd.Flags().GetBool("quiet") // the flag is there
	return q
}
