// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding"
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
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// byFlag is what completes the values of a flag, in whichever subcommand it is.
var byFlag = map[string]cobra.CompletionFunc{
	"iface":      completeInterfaces,
	"netns":      completeNetNS,
	"pod":        completePods,
	"program":    completePrograms,
	"object":     ofFiles("o"),
	"conflist":   ofFiles("conflist"),
	"mode":       ofNames(enumeration[chain.Mode]()),
	"dispatcher": ofNames(enumeration[chain.Dispatcher]()),
	"attach":     ofNames(enumeration[chain.Attach]()),
	"proceed-on": completeVerdicts,
	"catalog":    ofFolders,
	"cni-bin":    ofFolders,
	"cni-conf":   ofFolders,
}

// byCommand is what completes the arguments of a subcommand; others take none.
var byCommand = map[string]cobra.CompletionFunc{
	"unload":   completeIDs,
	"get":      onlyFirst(completeIDs),
	"replace":  onlyFirst(completeIDs),
	"check":    completeKeys,
	"validate": ofFiles("conflist"),
}

// addCompletions tells the shells' completions, which package cobra makes, what the
// subcommands take.
func addCompletions(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		addCompletions(sub)
	}
	cmd.ValidArgsFunction = byCommand[cmd.Name()]
	if cmd.ValidArgsFunction == nil && cmd.Runnable() {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	cmd.LocalNonPersistentFlags().VisitAll(func(flag *pflag.Flag) {
		complete := byFlag[flag.Name]
		switch {
		case complete != nil:
		case strings.Contains(flag.Value.Type(), "|"): // as those of formats say
			complete = ofNames(strings.Split(flag.Value.Type(), "|"))
		default:
			complete = cobra.NoFileCompletions
		}
		if err := cmd.RegisterFlagCompletionFunc(flag.Name, complete); err != nil {
			panic(err) // two functions for one flag
		}
	})
}

func ofNames(names []string) cobra.CompletionFunc {
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

// enumeration returns the names of all values of an enumeration that have one.
func enumeration[E interface {
	~uint8
	encoding.TextMarshaler
}]() []string {
	var names []string
	for e := E(0); ; e++ {
		name, err := e.MarshalText()
		if err != nil {
			return names
		}
		if len(name) > 0 {
			names = append(names, string(name))
		}
	}
}

// onlyFirst completes the first argument alone.
func onlyFirst(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, typed)
	}
}

// What follows shows what can be read: where it is not root that completes, nothing.

// completeIDs describes each member, and leaves out those that are named already.
func completeIDs(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	chains, _ := node.Default().List()
	var ids []string
	for _, c := range chains {
		for _, m := range c.Members {
			id := fmt.Sprint(m.ID)
			if m.Owner.Kind != record.OwnerLibxdp && !slices.Contains(args, id) {
				ids = append(ids, cobra.CompletionWithDesc(id, fmt.Sprintf("%s on %s in %s", m.Name, c.Interface, podOf(c))))
			}
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func completeKeys(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	chains, _ := node.Default().List()
	var keys []string
	for _, c := range chains {
		if !slices.Contains(args, c.Key.String()) {
			keys = append(keys, cobra.CompletionWithDesc(c.Key.String(), fmt.Sprintf("%s in %s", c.Interface, podOf(c))))
		}
	}
	return keys, cobra.ShellCompDirectiveNoFileComp
}

// completeInterfaces lists those of the namespace that the flags before it name.
func completeInterfaces(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	p := &place{cmd: cmd}
	// A subcommand without these flags has the empty values.
	p.netns, _ = cmd.Flags().GetString("netns")
	p.pid, _ = cmd.Flags().GetInt("pid")
	p.pod, _ = cmd.Flags().GetString("pod")
	path, err := p.netNS(node.Default())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if path == "" {
		path = netdev.CurrentPath
	}
	ns, err := netdev.OpenNetNS(path)
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

func completePods(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	chains, _ := node.Default().List()
	var pods []string
	for _, c := range chains {
		for _, o := range c.Owners {
			if pod := o.PodNamespace + "/" + o.PodName; o.PodName != "" && !slices.Contains(pods, pod) {
				pods = append(pods, pod)
			}
		}
	}
	return pods, cobra.ShellCompDirectiveNoFileComp
}

func completePrograms(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	dir, err := cmd.Flags().GetString("catalog")
	if err != nil || dir == "" {
		dir = config.DefaultCatalogDir
	}
	programs, _ := catalog.Open(dir) // a nil catalog has the built-in programs
	return programs.Names(), cobra.ShellCompDirectiveNoFileComp
}
