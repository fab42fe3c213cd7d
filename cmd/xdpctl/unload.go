// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/record"
)

func unloadCommand() *cobra.Command {
	var all, force bool
	cmd := &cobra.Command{
		Use:   "unload {ID... | --iface INTERFACE --all}",
		Short: "Take members out of their chains",
		Long: "Take members out of their chains, each chain in one swap. What came after them moves\n" +
			"up, and the chain goes with its last member. Either all ids are members' that may be\n" +
			"taken, or nothing is.",
		Example:           "  xdpctl unload 7 12\n  xdpctl unload --iface eth0 --all",
		ValidArgsFunction: fromChains(idsOf),
	}
	on := addTarget(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "take all members that were loaded by hand on --iface")
	cmd.Flags().BoolVar(&force, "force", false, "take members that came with a CNI network, too; CHECK of their pods then fails")
	timeout := addTimeout(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ids, err := parseIDs(args)
		if err != nil {
			return err
		}
		switch {
		case len(ids) > 0 && (all || on.given()):
			return errors.New("ids, and --iface with --all, exclude each other; an id alone says which member")
		case len(ids) == 0 && !all:
			return errors.New("which members? Give their ids, which xdpctl list shows, or --iface with --all")
		}
		ctx, cancel := timeout.context(cmd.Context())
		defer cancel()
		n := node.Default()
		if all {
			at, err := on.resolve(n)
			if err != nil {
				return err
			}
			if ids, err = n.UnloadAll(ctx, at, force); err != nil {
				return failed(err)
			}
		} else if err := n.Unload(ctx, force, ids...); err != nil {
			return failed(err)
		}
		if quiet(cmd) {
			return nil
		}
		what := "member"
		if len(ids) > 1 {
			what = "members"
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "unloaded %s %s\n", what, commaList(ids))
		return unread(err)
	}
	return cmd
}

// commaList lists ids as people do.
func commaList[N record.ID | uint32](ids []N) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = fmt.Sprint(id)
	}
	return strings.Join(list, ", ")
}
