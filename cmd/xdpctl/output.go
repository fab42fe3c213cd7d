// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/table"
)

// The formats in which subcommands print.
const (
	formatTable = "table"
	formatWide  = "wide" // a table with all columns, none of them cut
	formatText  = "text" // a sentence
	formatJSON  = "json"
	formatYAML  = "yaml"
)

// output is the flag -o of a subcommand, and prints as that says. It is a
// [github.com/spf13/pflag.Value].
type output struct {
	cmd    *cobra.Command
	format string
	choice []string
}

// addOutput gives a subcommand the flag -o with the formats it has, of which the first
// is the default.
func addOutput(cmd *cobra.Command, choice ...string) *output {
	o := &output{cmd, choice[0], choice}
	cmd.Flags().VarP(o, "output", "o", "how to print")
	return o
}

// String returns the chosen format's name.
func (o *output) String() string { return o.format }

// Type names the values in help texts.
func (o *output) Type() string { return strings.Join(o.choice, "|") }

// Set takes a format's name; anything else is an error that lists the names.
func (o *output) Set(name string) error {
	if !slices.Contains(o.choice, name) {
		return fmt.Errorf("use one of %s", strings.Join(o.choice, ", "))
	}
	o.format = name
	return nil
}

// screen is what fits where tables are printed.
func (o *output) screen() table.Screen {
	return table.ScreenOf(o.cmd.OutOrStdout(), o.format == formatWide)
}

// print prints a value for programs, where that is asked for, or else the text of it for
// people. It returns what kept it from that, and what was unreadable of the value.
func (o *output) print(value any, text string, unreadable error) error {
	return unread(errors.Join(o.write(o.cmd.OutOrStdout(), value, text), unreadable))
}

func (o *output) write(w io.Writer, value any, text string) error {
	if o.format == formatJSON || o.format == formatYAML {
		return writeValue(w, o.format, value)
	}
	_, err := io.WriteString(w, text)
	return err
}

// writeValue writes a value as JSON or as YAML, with the same fields in the same order.
func writeValue(w io.Writer, format string, value any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	if err == nil && format == formatYAML {
		err = makeYAML(&text)
	}
	if err == nil {
		_, err = w.Write(text.Bytes())
	}
	return err
}

// makeYAML makes YAML in its usual style of JSON, which is YAML too.
func makeYAML(text *bytes.Buffer) error {
	var document yaml.Node
	if err := yaml.Unmarshal(text.Bytes(), &document); err != nil {
		return err
	}
	inBlocks(&document)
	text.Reset()
	enc := yaml.NewEncoder(text)
	enc.SetIndent(2)
	if err := enc.Encode(&document); err != nil {
		return err
	}
	return enc.Close()
}

// inBlocks forgets braces and quotes. The encoder quotes what would be no string of YAML
// 1.2 otherwise, and has no other way to write what is empty.
func inBlocks(n *yaml.Node) {
	if n.Tag != "!!str" || !misread(n.Value) {
		n.Style = 0
	}
	for _, child := range n.Content {
		inBlocks(child)
	}
}

// misread tells whether readers of YAML 1.1 take a string for something else: a truth value
// (yaml.org/type/bool.html), or a number to the base of 60 (yaml.org/type/int.html).
func misread(text string) bool {
	switch strings.ToLower(text) {
	case "y", "n", "yes", "no", "on", "off":
		return true
	}
	return strings.Contains(text, ":") && strings.Trim(text, "0123456789:+-_.") == ""
}
