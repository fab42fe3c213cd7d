// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// format is how a subcommand prints.
type format string

const (
	formatTable format = "table"
	// formatWide is a table with all columns, none of them cut.
	formatWide format = "wide"
	// formatText is a sentence.
	formatText format = "text"
	formatJSON format = "json"
	formatYAML format = "yaml"
)

// structured tells whether the format is for programs: [printValue] prints it.
func (f format) structured() bool { return f == formatJSON || f == formatYAML }

// formatFlag is a flag -o with the formats that a subcommand has. It is a
// [github.com/spf13/pflag.Value].
type formatFlag struct {
	chosen *format
	choice []format
}

// String returns the chosen format's name.
func (f *formatFlag) String() string {
	if f.chosen == nil { // as pflag asks for the zero value's
		return ""
	}
	return string(*f.chosen)
}

// Type names the values in help texts.
func (f *formatFlag) Type() string { return f.names("|") }

// Set takes a format's name; anything else is an error that lists the names.
func (f *formatFlag) Set(name string) error {
	if !slices.Contains(f.choice, format(name)) {
		return fmt.Errorf("use one of %s", f.names(", "))
	}
	*f.chosen = format(name)
	return nil
}

func (f *formatFlag) names(separator string) string {
	names := make([]string, len(f.choice))
	for i, c := range f.choice {
		names[i] = string(c)
	}
	return strings.Join(names, separator)
}

// addFormat gives a subcommand the flag -o with the formats it has, of which the first
// is the default.
func addFormat(cmd *cobra.Command, choice ...format) *format {
	chosen := choice[0]
	cmd.Flags().VarP(&formatFlag{&chosen, choice}, "output", "o", "how to print")
	return &chosen
}

// printValue prints a value as JSON or as YAML, with the same fields in the same order.
func printValue(w io.Writer, as format, value any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	if err == nil && as == formatYAML {
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
