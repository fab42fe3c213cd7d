// SPDX-License-Identifier: Apache-2.0

// Package schematest holds the schemas of package schema against the Go types and the
// documents that they describe. Only tests import it.
//
// A document is checked by a validator for draft 2020-12 that takes formats seriously.
// Types are compared by the names of their fields alone, all the way down: a field that is
// in one of the two only is what gets forgotten, and the documents show the rest.
package schematest

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// Reads fails the test where the schema of a document and the type that it is decoded into
// do not have the same fields. Embedded structs are part of what embeds them.
func (s Schema) Reads(t testing.TB, into any) {
	t.Helper()
	report(t, differences(s.compiled, reflect.TypeOf(into), "", false))
}

// Prints is [Schema.Reads] for a value that is encoded: what is always printed has to be
// required, and nothing else.
func (s Schema) Prints(t testing.TB, value any) {
	t.Helper()
	report(t, differences(s.compiled, reflect.TypeOf(value), "", true))
}

func report(t testing.TB, differences []string) {
	t.Helper()
	for _, d := range differences {
		t.Error(d)
	}
}

// differences compares what is at a path of a document.
func differences(s *jsonschema.Schema, typ reflect.Type, path string, printed bool) []string {
	for s.Ref != nil {
		s = s.Ref
	}
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case opaque(typ):
	case typ.Kind() == reflect.Slice && s.Items2020 != nil:
		return differences(s.Items2020, typ.Elem(), path+"[]", printed)
	case typ.Kind() == reflect.Slice:
		return []string{fmt.Sprintf("%q is a list of %s, of which the schema says nothing", path, typ.Elem())}
	case typ.Kind() == reflect.Map:
		if below, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
			return differences(below, typ.Elem(), path+"{}", printed)
		}
	case typ.Kind() == reflect.Struct:
		return structDifferences(s, typ, path, printed)
	}
	return nil
}

func structDifferences(s *jsonschema.Schema, typ reflect.Type, path string, printed bool) []string {
	fields := make(map[string]reflect.StructField)
	collect(typ, fields)
	names := slices.Sorted(maps.Keys(fields))
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(s.Properties))); diff != "" {
		return []string{fmt.Sprintf("fields of %s at %q (-Go +schema):\n%s", typ, path, diff)}
	}
	var found, always []string
	for _, name := range names {
		found = append(found, differences(s.Properties[name], fields[name].Type, path+"."+name, printed)...)
		if !strings.Contains(fields[name].Tag.Get("json"), ",omit") {
			always = append(always, name)
		}
	}
	if diff := cmp.Diff(always, slices.Sorted(slices.Values(s.Required))); printed && diff != "" {
		found = append(found, fmt.Sprintf("required fields of %s at %q (-Go +schema):\n%s", typ, path, diff))
	}
	return found
}

// collect adds the fields that encoding/json knows of a struct.
func collect(typ reflect.Type, fields map[string]reflect.StructField) {
	for i := range typ.NumField() {
		field := typ.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			collect(field.Type, fields)
		case field.IsExported() && name != "-":
			fields[name] = field
		}
	}
}

// opaque are types that print or read themselves: what they look like is not in their
// fields.
func opaque(typ reflect.Type) bool {
	pointer := reflect.PointerTo(typ)
	for _, own := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	} {
		if pointer.Implements(own) {
			return true
		}
	}
	return false
}
