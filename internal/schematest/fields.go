// SPDX-License-Identifier: Apache-2.0

package schematest

import (
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
)

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
