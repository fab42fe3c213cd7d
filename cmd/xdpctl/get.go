// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/internal/node"
)

func getCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "Show all that is known of a member, and of its program in the kernel",
		Long: "Show all that is known of a member: its place, its object, its maps and who else uses\n" +
			"them, and what the kernel tells of the program that runs it.",
		Example: "  xdpctl get 7\n  xdpctl get 7 -o yaml",
		Args:    oneID,
	}
	output := addFormat(cmd, formatTable, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ids, err := parseIDs(args)
		if err != nil {
			return err
		}
		d, err := node.Default().Get(ids[0])
		if d.ID == 0 { // else something else could not be read, too
			return failed(err)
		}
		return unread(errors.Join(printDetail(newPage(cmd.OutOrStdout(), *output), *output, d), err))
	}
	return cmd
}

func printDetail(p page, as format, d node.MemberDetail) error {
	if as.structured() {
		return printValue(p, as, d)
	}
	s := sheet{page: p}
	s.state(d)
	s.maps(d.Maps)
	s.place(d)
	s.kernel(d)
	return s.print()
}
