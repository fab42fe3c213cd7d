// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
)

func doctorCommand() *cobra.Command {
	var cni cniFolders
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything that chains depend on, and say what to do about it",
		Long: "Look at everything that chains depend on, and say what to do about it: the kernel, bpffs,\n" +
			"the CNI plugin and its conflists, the catalog, and what is kept of chains. Of a conflist that\n" +
			"names the plugin, its chains are built and verified as STATUS does, and not attached. Nothing\n" +
			"is changed; only what was found out about the kernel is noted in /run/xdp-chain.\n\n" + exitHelp,
		Args: noArguments,
	}
	cmd.Flags().StringSliceVar(&cni.bin, "cni-bin", []string{"/opt/cni/bin"}, "`folders` in which the runtime looks for CNI plugins")
	cmd.Flags().StringVar(&cni.conf, "cni-conf", "/etc/cni/net.d", "`folder` in which the runtime looks for conflists")
	output := addFormat(cmd, formatTable, formatJSON, formatYAML)
	timeout := addTimeout(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := timeout.context(cmd.Context())
		defer cancel()
		findings := examine(ctx, node.Default(), cni)
		if err := printFindings(newPage(cmd.OutOrStdout(), *output), *output, findings, quiet(cmd)); err != nil {
			return unread(err)
		}
		for _, f := range findings {
			if f.State == node.StateFailing {
				return differs(errors.New("")) // all is said
			}
		}
		return nil
	}
	return cmd
}

// examine goes from the kernel to what is kept of chains.
func examine(ctx context.Context, n *node.Node, cni cniFolders) []node.Finding {
	findings := n.ExamineKernel()
	findings = append(findings, cni.examine(ctx, n)...)
	findings = append(findings, examineCatalog(config.DefaultCatalogDir))
	return append(findings, n.ExamineState()...)
}

func examineCatalog(dir string) node.Finding {
	const check = "catalog"
	c, err := catalog.Open(dir)
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		return node.Failing(check, inOneLine(err), "mend the file, or take it out of the folder: its program can be used by nobody until then")
	}
	return node.OK(check, fmt.Sprintf("%d programs, %d of them built in", len(c.Names()), len(catalog.Builtins())))
}

func inOneLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}

// The columns in which findings are printed; what is found follows.
const (
	stateWidth = len("failing")
	checkWidth = len("trampolines")
	foundAt    = stateWidth + columnGap + checkWidth + columnGap
)

var stateColours = map[node.FindingState]colour{node.StateOK: green, node.StateWarning: yellow, node.StateFailing: red}

func printFindings(p page, as format, findings []node.Finding, onlyFaults bool) error {
	if as.structured() {
		return printValue(p, as, findings)
	}
	var out strings.Builder
	for _, f := range findings {
		if f.State == node.StateOK && onlyFaults {
			continue
		}
		state := fmt.Sprintf("%-*s", stateWidth, f.State)
		fmt.Fprintf(&out, "%s  %-*s  ", stateColours[f.State].paint(state, p.colour), checkWidth, f.Check)
		writeIndented(&out, f.Found, p.width)
		if f.Do != "" {
			out.WriteString(strings.Repeat(" ", foundAt))
			writeIndented(&out, "to do: "+f.Do, p.width)
		}
	}
	_, err := p.Write([]byte(out.String()))
	return err
}

// writeIndented writes text from the column on at which what is found stands, in lines
// that fit the width, where there is one.
func writeIndented(out *strings.Builder, text string, width int) {
	at := foundAt
	for i, word := range strings.Fields(printable(text)) {
		length := len([]rune(word))
		switch {
		case i == 0:
		case width > 0 && at+1+length > width:
			out.WriteString("\n" + strings.Repeat(" ", foundAt))
			at = foundAt
		default:
			out.WriteString(" ")
			at++
		}
		out.WriteString(word)
		at += length
	}
	out.WriteString("\n")
}
