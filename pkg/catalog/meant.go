// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/strict"
)

// meant returns the names that a file that is at fault may have been meant for: the
// one that can still be read in it, and the file's own, with and without leading
// figures ("10-acl.yaml" is about acl).
func meant(path string, text []byte) []string {
	stem := strings.TrimSuffix(filepath.Base(path), suffix)
	names := []string{stem}
	if number, rest, ok := strings.Cut(stem, "-"); ok && strings.Trim(number, "0123456789") == "" {
		names = append(names, rest)
	}
	if name := readableName(text); name != "" {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// readableName returns the field "name" of a text that parses, otherwise what stands
// in the first line that looks like it.
func readableName(text []byte) string {
	if raw, _, err := strict.YAML(text); err == nil {
		var d struct {
			Name string `json:"name"`
		}
		// Whatever else is wrong with the document does not matter here.
		_ = json.Unmarshal(raw, &d)
		return d.Name
	}
	for line := range bytes.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimLeft(string(line), " \t{,"), ":")
		if ok && strings.Trim(strings.TrimSpace(key), `"'`) == "name" {
			value, _, _ = strings.Cut(value, ",")
			value, _, _ = strings.Cut(value, "#")
			return strings.Trim(value, " \t\r\n\"'}")
		}
	}
	return ""
}
