// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything that chains depend on, and say what to do about it",
		Long: "Look at everything that chains depend on, and say what to do about it: the kernel, bpffs,\n" +
			"the CNI plugin and its conflists, the catalog, and what is kept of chains. Of a conflist that\n" +
			"names the plugin, its chains are built and verified as STATUS does, and not attached. Nothing\n" +
			"is changed; only what was found out about the kernel is noted in /run/xdp-chain.\n\n" + exitHelp,
		Args: noArguments,
	}
	plugins := cmd.Flags().StringSlice("cni-bin", []string{"/opt/cni/bin"}, "`folders` in which the runtime looks for CNI plugins")
	networks := cmd.Flags().String("cni-conf", "/etc/cni/net.d", "`folder` in which the runtime looks for conflists")
	out := addOutput(cmd, formatTable, formatJSON, formatYAML)
	runWithin(cmd, func(ctx context.Context, _ []string) error {
		findings := examine(ctx, node.Default(), *plugins, *networks)
		err := out.print(findings, findingsText(out.screen(), findings, quiet(cmd)), nil)
		if err == nil && slices.ContainsFunc(findings, func(f doctor.Finding) bool { return f.State == doctor.StateFailing }) {
			err = differs()
		}
		return err
	})
	return cmd
}

// examine goes from the kernel to what is kept of chains. plugins and networks are where the
// runtime looks for these.
func examine(ctx context.Context, n *node.Node, plugins []string, networks string) []doctor.Finding {
	kernel := doctor.ExamineKernel(n.Node)
	conflists, named := examineConflists(ctx, n, networks)
	installed := []doctor.Finding{examinePlugin(plugins, named)}
	programs := []doctor.Finding{examineCatalog(config.DefaultCatalogDir)}
	return slices.Concat(kernel, installed, conflists, programs, doctor.ExamineState(n.Node))
}

func examineCatalog(dir string) doctor.Finding {
	const check = "catalog"
	c, err := catalog.Open(dir)
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		return doctor.Failing(check, render.InOneLine(err), "mend the file, or take it out of the folder: its program can be used by nobody until then")
	}
	return doctor.OK(check, fmt.Sprintf("%d programs, %d of them built in", len(c.Names()), len(catalog.Builtins())))
}

// The columns in which findings are printed; what is found follows.
const (
	stateWidth = len("failing")
	checkWidth = len("trampolines")
	foundAt    = stateWidth + render.Gap + checkWidth + render.Gap
)

var stateColours = map[doctor.FindingState]render.Colour{
	doctor.StateOK: render.Green, doctor.StateWarning: render.Yellow, doctor.StateFailing: render.Red,
}

func findingsText(s render.Screen, findings []doctor.Finding, onlyFaults bool) string {
	var out strings.Builder
	for _, f := range findings {
		if f.State == doctor.StateOK && onlyFaults {
			continue
		}
		state := s.Paint(stateColours[f.State], fmt.Sprintf("%-*s", stateWidth, f.State))
		fmt.Fprintf(&out, "%s  %-*s  %s", state, checkWidth, f.Check, s.Wrap(f.Found, foundAt, foundAt))
		if f.Do != "" {
			out.WriteString(strings.Repeat(" ", foundAt) + s.Wrap("to do: "+f.Do, foundAt, foundAt))
		}
	}
	return out.String()
}

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check KEY... | --all",
		Short: "Compare what is recorded of chains with what the kernel runs",
		Long: "Compare what is recorded of chains with what the kernel runs, whoever owns their members.\n" +
			"KEY is a chain's as list shows it. What a network's configuration wants of a chain is not\n" +
			"looked at; CNI's CHECK does that.\n\n" + exitHelp,
		ValidArgsFunction: fromChains(keyOf),
	}
	all := cmd.Flags().Bool("all", false, "every chain of this node")
	out := addOutput(cmd, formatTable, formatJSON, formatYAML)
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if (len(args) > 0) == *all {
			return errors.New("which chains? Give their keys, as xdpctl list shows them, or --all")
		}
		return nil
	}
	runWithin(cmd, func(ctx context.Context, args []string) error {
		keys, err := parseKeys(args)
		if err != nil {
			return err
		}
		checked, err := checkChains(ctx, node.Default(), keys)
		if err := out.print(checked, checkText(out.screen(), checked, quiet(cmd)), nil); err != nil {
			return err
		}
		switch {
		case errors.Is(err, doctor.ErrNoChain):
			return absent(fmt.Errorf("%w; xdpctl list shows those there are", err))
		case err != nil:
			return unread(err)
		case slices.ContainsFunc(checked, func(c doctor.CheckedChain) bool { return len(c.Differences) > 0 }):
			return differs()
		}
		return nil
	})
	return cmd
}

// checkChains checks chains by their keys, and without keys all there are.
func checkChains(ctx context.Context, n *node.Node, keys []chain.Key) ([]doctor.CheckedChain, error) {
	if len(keys) == 0 {
		return doctor.CheckAll(ctx, n.Node)
	}
	checked := make([]doctor.CheckedChain, 0, len(keys))
	var errs []error
	for _, key := range keys {
		c, err := doctor.CheckChain(ctx, n.Node, key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		checked = append(checked, c)
	}
	return checked, errors.Join(errs...)
}

// checkText has a line for each chain, and below it one for each difference.
func checkText(s render.Screen, checked []doctor.CheckedChain, onlyDiffering bool) string {
	if onlyDiffering {
		checked = slices.DeleteFunc(slices.Clone(checked), func(c doctor.CheckedChain) bool { return len(c.Differences) == 0 })
	}
	switch {
	case len(checked) == 0 && onlyDiffering:
		return ""
	case len(checked) == 0:
		return "no chains on this node\n"
	}
	t := render.New("", render.Col("CHAIN"), render.Col("INTERFACE"), render.Col("NETNS", render.Cut), render.Col("STATE"))
	for _, c := range checked {
		state := render.Green.Of("ok")
		if len(c.Differences) > 0 {
			state = render.Red.Of("differs")
		}
		t.Add(c.Key, c.Interface, spacePath(c.NetNS), state)
		for _, d := range c.Differences {
			t.AddText("  " + render.Printable(d) + "\n")
		}
	}
	return t.Text(s)
}

func gcCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gc [--dry-run]",
		Short: "Remove what dead chains, pods and processes have left on this node",
		Long: "Remove what is dead for good: chains whose interface or network namespace is gone, pins\n" +
			"without a record, shared maps that no pod shares any more, libxdp's pins of network\n" +
			"namespaces that are gone, objects that no chain needs, and what killed processes left.\n" +
			"Chains that run are not touched, nor is what somebody works on.",
		Args: noArguments,
	}
	dry := cmd.Flags().Bool("dry-run", false, "say what would be removed, and change nothing")
	// Each chain takes some tens of milliseconds to come off.
	timeout := cmd.Flags().Duration("timeout", 2*time.Minute, "how long to go on")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		n := node.Default()
		if *dry {
			left, err := doctor.Leftovers(n.Node)
			return unread(errors.Join(printLeftovers(cmd.OutOrStdout(), "would remove", left, err), err))
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		removed, err := doctor.RemoveLeftovers(ctx, n.Node)
		if quiet(cmd) {
			return unread(err)
		}
		return unread(errors.Join(printLeftovers(cmd.OutOrStdout(), "removed", removed, err), err))
	}
	return cmd
}

// printLeftovers prints a line for each. That there are none is said only where everything
// was looked at.
func printLeftovers(w io.Writer, verb string, left []doctor.Leftover, failed error) error {
	if len(left) == 0 && failed == nil {
		_, err := fmt.Fprintln(w, "nothing to remove")
		return err
	}
	for _, l := range left {
		if _, err := fmt.Fprintln(w, verb, render.Printable(l.String())); err != nil {
			return err
		}
	}
	return nil
}
