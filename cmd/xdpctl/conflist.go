// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/conflist"
	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
)

func conflistCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "conflist",
		Short: "Look at network configuration lists",
	}
	cmd.AddCommand(validateCommand())
	return cmd
}

func validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Say what is wrong with conflists, as far as that can be told without a pod",
		Long: "Say what is wrong with conflists, as far as that can be told without a pod: JSON, fields,\n" +
			"versions of CNI, the order of plugins, capabilities, and every program's object, globals and\n" +
			"maps. Nothing is touched, no root is needed, and the kernel may yet refuse a program, which\n" +
			"doctor finds out.\n\n" + exitHelp,
		Args:              files,
		ValidArgsFunction: ofFiles("conflist"),
	}
	out := addOutput(cmd, formatTable, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		validations := make([]*conflist.Validation, len(args))
		for i, path := range args {
			validations[i] = conflist.Validate(path)
		}
		err := out.print(validations, func() string { return validationsText(out.screen(), validations, quiet(cmd)) }, nil)
		if err == nil && slices.ContainsFunc(validations, func(v *conflist.Validation) bool { return len(v.Faults) > 0 }) {
			err = errors.New("") // all is said
		}
		return err
	}
	return cmd
}

func validationsText(s render.Screen, validations []*conflist.Validation, onlyFaults bool) string {
	var out strings.Builder
	line := func(file string, c render.Colour, kind, text string) {
		fmt.Fprintf(&out, "%s: %s%s\n", render.Printable(file), s.Paint(c, kind), render.Printable(text))
	}
	for _, v := range validations {
		for _, f := range v.Faults {
			line(v.File, render.Red, "fault", ": "+f)
		}
		if onlyFaults {
			continue
		}
		for _, w := range v.Warnings {
			line(v.File, render.Yellow, "warning", ": "+w)
		}
		if len(v.Faults) == 0 {
			line(v.File, render.Green, "ok", fmt.Sprintf(", network %s", v.Network))
		}
	}
	return out.String()
}
