// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// byFlag is what completes the values of a flag, in whichever subcommand it is.
var byFlag = map[string]cobra.CompletionFunc{
	"iface":      completeInterfaces,
	"netns":      completeNetNS,
	"pod":        fromChains(func(c inspect.Chain) []cobra.Completion { return podsOf(c.Owners) }),
	"program":    completePrograms,
	"object":     ofFiles("o"),
	"conflist":   ofFiles("conflist"),
	"mode":       ofNames("auto", "native", "generic", "offload"),
	"dispatcher": ofNames("auto", "linked", "libxdp"),
	"attach":     ofNames("auto", "link", "netlink"),
	"proceed-on": completeVerdicts,
	"catalog":    ofFolders,
	"cni-bin":    ofFolders,
	"cni-conf":   ofFolders,
}

// addCompletions tells the shells' completions, which package cobra makes, what the flags of
// subcommands take, and that those that do not say what their arguments are take none.
func addCompletions(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		addCompletions(sub)
	}
	if cmd.ValidArgsFunction == nil && cmd.Runnable() {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	cmd.LocalNonPersistentFlags().VisitAll(func(flag *pflag.Flag) {
		complete := byFlag[flag.Name]
		switch {
		case complete != nil:
		case strings.Contains(flag.Value.Type(), "|"): // as those of formats say
			complete = ofNames(strings.Split(flag.Value.Type(), "|")...)
		default:
			complete = cobra.NoFileCompletions
		}
		if err := cmd.RegisterFlagCompletionFunc(flag.Name, complete); err != nil {
			panic(err) // two functions for one flag
		}
	})
}

func ofNames(names ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)
}

// completeVerdicts completes the last of several verdicts with commas between them, with
// those that are not named yet. None stands alone.
func completeVerdicts(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	before := typed[:strings.LastIndex(typed, ",")+1]
	named, _ := cmd.Flags().GetStringSlice("proceed-on") // what comes before it, as the flag may be repeated
	named = append(named, strings.FieldsFunc(before, func(r rune) bool { return r == ',' })...)
	verdicts := []string{"aborted", "drop", "pass", "tx", "redirect", "dispatcher_return"}
	switch {
	case slices.Contains(named, "none"):
		verdicts = nil
	case len(named) == 0:
		verdicts = append(verdicts, "none")
	}
	var next []string
	for _, verdict := range verdicts {
		if !slices.Contains(named, verdict) {
			next = append(next, before+verdict)
		}
	}
	return next, cobra.ShellCompDirectiveNoFileComp
}

func ofFiles(extension string) cobra.CompletionFunc {
	return cobra.FixedCompletions([]string{extension}, cobra.ShellCompDirectiveFilterFileExt)
}

func ofFolders(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// What follows shows what can be read: where it is not root that completes, nothing.

// fromChains completes with what there is of each chain, each once, and leaves out what is
// named already.
func fromChains(of func(inspect.Chain) []cobra.Completion) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		chains, _ := inspect.List(node.Default().Node)
		var found []cobra.Completion
		for _, c := range chains {
			for _, choice := range of(c) {
				word, _, _ := strings.Cut(choice, "\t") // from its description
				if !slices.Contains(args, word) && !slices.Contains(found, choice) {
					found = append(found, choice)
				}
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeID completes the one id that a subcommand takes.
func completeID(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return fromChains(idsOf)(cmd, args, typed)
}

func idsOf(c inspect.Chain) []cobra.Completion {
	var ids []cobra.Completion
	for _, m := range c.Members {
		if m.Owner.Kind != record.OwnerLibxdp {
			ids = append(ids, cobra.CompletionWithDesc(fmt.Sprint(m.ID), fmt.Sprintf("%s on %s in %s", m.Name, c.Interface, podOf(c.Owners, c.NetNS))))
		}
	}
	return ids
}

func keyOf(c inspect.Chain) []cobra.Completion {
	return []cobra.Completion{cobra.CompletionWithDesc(c.Key.String(), fmt.Sprintf("%s in %s", c.Interface, podOf(c.Owners, c.NetNS)))}
}

// completeInterfaces lists those of the namespace that the flags before it name.
func completeInterfaces(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	t := &target{cmd: cmd}
	// A subcommand without these flags has the empty values.
	t.netns, _ = cmd.Flags().GetString("netns")
	t.pid, _ = cmd.Flags().GetInt("pid")
	t.pod, _ = cmd.Flags().GetString("pod")
	var ns *netdev.NetNS
	path, err := t.netNS(node.Default())
	if err == nil {
		ns, err = openNetNS(path)
	}
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer ns.Close()
	var names []string
	_ = ns.Do(func() error {
		interfaces, err := net.Interfaces()
		for _, i := range interfaces {
			names = append(names, i.Name)
		}
		return err
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeNetNS lists the names of ip-netns(8), and lets paths be completed, too.
func completeNetNS(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	entries, _ := os.ReadDir(netnsDir)
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names, cobra.ShellCompDirectiveDefault
}

func completePrograms(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	dir, err := cmd.Flags().GetString("catalog")
	if err != nil || dir == "" {
		dir = config.DefaultCatalogDir
	}
	programs, _ := catalog.Open(dir) // a nil catalog has the built-in programs
	return programs.Names(), cobra.ShellCompDirectiveNoFileComp
}
