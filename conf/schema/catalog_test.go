// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/schematest"
)

// catalogFile returns what the catalog says of a file that holds a text.
func catalogFile(t *testing.T, text string) error {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "entry.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c.Check()
}

// asJSON makes JSON of YAML.
func asJSON(t *testing.T, text string) []byte {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// Only a built-in's entry needs no object.
func TestBuiltins(t *testing.T) {
	s := schematest.Open(t, "catalog-entry")
	for _, name := range append(catalog.Builtins(), "other") {
		document := `{"name": "` + name + `"}`
		if err := s.Check([]byte(document)); (err == nil) != (name != "other") {
			t.Errorf("schema: %s: %v", document, err)
		}
	}
}

// What is on the one side accepted or refused is so on the other.
func TestCatalogEntry(t *testing.T) {
	s := schematest.Open(t, "catalog-entry")
	for _, tt := range []struct {
		good bool
		text string
	}{
		{true, `{name: count}`},
		{true, `{name: mine, object: /opt/xdp/mine.o}`},
		{true, `{name: mine, object: /o, function: f, priority: 0, proceedOn: [], globals: {a: 1}, transmits: true}`},
		{true, `{name: mine, object: /o, settable: {a: {min: -1, max: "0xff"}, b: {values: [a, 1, true]}}}`},
		{true, `{name: count, object: "", settable: {}}`},
		{false, `{}`},
		{false, `[]`},
		{false, `{name: mine}`},
		{false, `{name: mine, object: ""}`},
		{false, `{name: mine, object: mine.o}`},
		{false, `{name: Mine, object: /o}`},
		{false, `{name: mine, object: /o, image: x}`},
		{false, `{name: mine, object: /o, maps: {}}`},
		{false, `{name: mine, object: /o, side: pod}`},
		{false, `{name: mine, object: /o, priority: -1}`},
		{false, `{name: mine, object: /o, priority: high}`},
		{false, `{name: mine, object: /o, proceedOn: pass}`},
		{false, `{name: mine, object: /o, proceedOn: [ok]}`},
		{false, `{name: mine, object: /o, globals: [1]}`},
		{false, `{name: mine, object: /o, transmits: 1}`},
		{false, `{name: mine, object: /o, settable: [a]}`},
		{false, `{name: mine, object: /o, settable: {a: {}}}`},
		{false, `{name: mine, object: /o, settable: {a: {min: 1}}}`},
		{false, `{name: mine, object: /o, settable: {a: {min: 1.5, max: 2}}}`},
		{false, `{name: mine, object: /o, settable: {a: {min: "010", max: 20}}}`},
		{false, `{name: mine, object: /o, settable: {a: {min: 1, max: 2, values: [1]}}}`},
		{false, `{name: mine, object: /o, settable: {a: {values: []}}}`},
		{false, `{name: mine, object: /o, settable: {a: {values: [[1]]}}}`},
		{false, `{name: mine, object: /o, settable: {a: {min: 1, max: 2, step: 1}}}`},
	} {
		if err := s.Check(asJSON(t, tt.text)); (err == nil) != tt.good {
			t.Errorf("schema: %s: %v", tt.text, err)
		}
		if err := catalogFile(t, tt.text); (err == nil) != tt.good {
			t.Errorf("parser: %s: %v", tt.text, err)
		}
	}
}
