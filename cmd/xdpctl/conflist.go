// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/table"
	"github.com/xdp-chain/xdp-chain/internal/config"
)

// pluginType is the type of our entry in a conflist.
const pluginType = "xdp-chain"

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
	out := addOutput(cmd, formatTable, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		validations := make([]*validation, len(args))
		wrong := false
		for i, path := range args {
			validations[i] = validate(path)
			wrong = wrong || len(validations[i].Faults) > 0
		}
		if err := out.print(validations, validationsText(out.screen(), validations, quiet(cmd)), nil); err != nil {
			return err
		}
		if wrong {
			return errors.New("") // all is said
		}
		return nil
	}
	return cmd
}

func validationsText(s table.Screen, validations []*validation, onlyFaults bool) string {
	var out strings.Builder
	line := func(file string, c table.Colour, kind, text string) {
		fmt.Fprintf(&out, "%s: %s%s\n", table.Printable(file), s.Paint(c, kind), table.Printable(text))
	}
	for _, v := range validations {
		for _, f := range v.Faults {
			line(v.File, table.Red, "fault", ": "+f)
		}
		if onlyFaults {
			continue
		}
		for _, w := range v.Warnings {
			line(v.File, table.Yellow, "warning", ": "+w)
		}
		if len(v.Faults) == 0 {
			line(v.File, table.Green, "ok", fmt.Sprintf(", network %s", v.Network))
		}
	}
	return out.String()
}

// readConflist returns our entry in a conflist as a runtime hands it over: numbers are
// rounded as libcni rounds them. Errors are a sentence a line, each with the file.
func readConflist(path string) (*config.Conf, error) {
	list, err := libcni.NetworkConfFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	i, err := ourEntry(list)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c, err := parseEntry(list, i)
	if err != nil {
		return nil, inEachLine(path, err)
	}
	return c, nil
}

// ourEntries returns which plugins of a network are ours.
func ourEntries(list *libcni.NetworkConfigList) []int {
	var ours []int
	for i, plugin := range list.Plugins {
		if plugin.Network.Type == pluginType {
			ours = append(ours, i)
		}
	}
	return ours
}

// ourEntry returns which plugin of a network is ours; it has to be one alone.
func ourEntry(list *libcni.NetworkConfigList) (int, error) {
	switch ours := ourEntries(list); len(ours) {
	case 0:
		return 0, fmt.Errorf("network %q has no plugin of type %s; its pods get no chain", list.Name, pluginType)
	case 1:
		return ours[0], nil
	default:
		return 0, fmt.Errorf("network %q has %d plugins of type %s (the first are plugins[%d] and plugins[%d]); the later ones replace the chain of the earlier: put all programs into one",
			list.Name, len(ours), pluginType, ours[0], ours[1])
	}
}

// parseEntry reads our entry. Errors are a sentence a line, each with the entry's place.
func parseEntry(list *libcni.NetworkConfigList, i int) (*config.Conf, error) {
	c, err := config.Parse(list.Plugins[i].Bytes)
	if err != nil {
		return nil, inEachLine(entryPath(i), err)
	}
	c.Name = list.Name
	return c, nil
}

func entryPath(i int) string { return fmt.Sprintf("plugins[%d]", i) }
