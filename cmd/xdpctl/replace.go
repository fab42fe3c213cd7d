// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/internal/node"
)

func replaceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replace ID {--object FILE | --program NAME}",
		Short: "Give a member another program, in its place in the chain",
		Long: "Give a member another program, in one swap. It keeps its id, its name, its place in the\n" +
			"chain and its counts, and those of its maps that the new program has in the same shape.",
		Example:           "  xdpctl replace 7 --object ./filter-v2.o",
		Args:              oneID,
		ValidArgsFunction: onlyFirst(fromChains(idsOf)),
	}
	p := addProgram(cmd)
	var force bool
	cmd.Flags().BoolVar(&force, "force", false, "replace a member that came with a CNI network, too; CHECK of its pod then fails")
	out := addOutput(cmd, formatText, formatJSON, formatYAML)
	timeout := addTimeout(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ids, err := parseIDs(args)
		if err != nil {
			return err
		}
		r, err := p.read()
		if err != nil {
			return err
		}
		r.Force = force
		ctx, cancel := timeout.context(cmd.Context())
		defer cancel()
		m, err := node.Default().Replace(ctx, ids[0], r)
		if err != nil {
			return failed(err)
		}
		return out.printMember(m, fmt.Sprintf("member %d (%s) runs %s, at position %d as before", m.ID, m.Name, m.Function, m.Position))
	}
	return cmd
}
