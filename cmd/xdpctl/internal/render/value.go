// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Value writes a value as JSON, or as YAML with the same fields in the same order.
func Value(w io.Writer, value any, asYAML bool) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	if err == nil && asYAML {
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
