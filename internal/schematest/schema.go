// SPDX-License-Identifier: Apache-2.0

package schematest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/xdp-chain/xdp-chain/conf/schema"
)

// Schema is a schema that documents can be checked with.
type Schema struct {
	compiled *jsonschema.Schema
}

// embedded reads schemas from [schema.Files].
type embedded struct{}

const scheme = "schema:///"

// Load reads the schema of a URL.
func (embedded) Load(url string) (any, error) {
	file, err := schema.Files.Open(strings.TrimPrefix(url, scheme))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return jsonschema.UnmarshalJSON(file)
}

// Open compiles the schema of a name such as "config".
func Open(t testing.TB, name string) Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseLoader(jsonschema.SchemeURLLoader{"schema": embedded{}})
	compiled, err := c.Compile(scheme + name + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return Schema{compiled}
}

// Check returns what is wrong with a JSON document.
func (s Schema) Check(document []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return err
	}
	return s.compiled.Validate(value)
}

// Property is the schema of a property of the outermost object.
func (s Schema) Property(name string) Schema {
	below := s.compiled.Properties[name]
	for below.Ref != nil {
		below = below.Ref
	}
	return Schema{below}
}

// Choices are the values that each property of the outermost object may have, of those
// that have a choice.
func (s Schema) Choices() map[string][]any {
	choices := make(map[string][]any)
	for name := range s.compiled.Properties {
		if enum := s.Property(name).compiled.Enum; enum != nil {
			choices[name] = enum.Values
		}
	}
	return choices
}
