// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

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
		if err := out.print(checked, func() string { return checkText(out.screen(), checked, quiet(cmd)) }, nil); err != nil {
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
