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
	if err := inBlocks(&document); err != nil {
		return err
	}
	text.Reset()
	enc := yaml.NewEncoder(text)
	enc.SetIndent(2)
	if err := enc.Encode(&document); err != nil {
		return err
	}
	return enc.Close()
}

// inBlocks forgets braces and quotes, but for those of strings that some reader of YAML
// takes for something else, such as "yes": the encoder knows them as values of Go, and
// not as nodes.
func inBlocks(n *yaml.Node) error {
	plain := true
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		text, err := yaml.Marshal(n.Value)
		if err != nil {
			return err
		}
		plain = !bytes.HasPrefix(text, []byte{'"'})
	}
	if plain {
		n.Style = 0
	}
	for _, child := range n.Content {
		if err := inBlocks(child); err != nil {
			return err
		}
	}
	return nil
}
