// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// format is how a subcommand prints. It is a [github.com/spf13/pflag.Value].
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
)

// String returns the format's name.
func (f *format) String() string { return string(*f) }

// Type names the values in help texts.
func (f *format) Type() string { return "table|json" }

// Set takes a format's name; anything else is an error that lists the names.
func (f *format) Set(name string) error {
	switch format(name) {
	case formatTable, formatJSON:
		*f = format(name)
		return nil
	}
	return fmt.Errorf("use one of %s, %s", formatTable, formatJSON)
}

// addFormat gives a subcommand the flag -o.
func addFormat(cmd *cobra.Command) *format {
	f := formatTable
	cmd.Flags().VarP(&f, "output", "o", "how to print")
	return &f
}

func printJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}
