// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
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
		Args: files,
	}
	output := addFormat(cmd, formatTable, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		judged := make([]*judgement, len(args))
		wrong := false
		for i, path := range args {
			judged[i] = judge(path)
			wrong = wrong || len(judged[i].Faults) > 0
		}
		if err := printJudged(newPage(cmd.OutOrStdout(), *output), *output, judged, quiet(cmd)); err != nil {
			return unread(err)
		}
		if wrong {
			return errors.New("") // all is said
		}
		return nil
	}
	return cmd
}

func printJudged(p page, as format, judged []*judgement, onlyFaults bool) error {
	if as.structured() {
		return printValue(p, as, judged)
	}
	var out strings.Builder
	line := func(file string, kind cell, text string) {
		fmt.Fprintf(&out, "%s: %s%s\n", printable(file), kind.colour.paint(kind.text, p.colour), printable(text))
	}
	for _, j := range judged {
		for _, f := range j.Faults {
			line(j.File, red.of("fault"), ": "+f)
		}
		for _, w := range j.Warnings {
			if !onlyFaults {
				line(j.File, yellow.of("warning"), ": "+w)
			}
		}
		if len(j.Faults) == 0 && !onlyFaults {
			line(j.File, green.of("ok"), fmt.Sprintf(", network %s", j.Network))
		}
	}
	_, err := p.Write([]byte(out.String()))
	return err
}
