// SPDX-License-Identifier: Apache-2.0

package schematest

import (
	"encoding"
	"encoding/json"
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
	compare(t, s.compiled, reflect.TypeOf(into), "", false)
}

// Prints is [Schema.Reads] for a value that is encoded: what is always printed has to be
// required, and nothing else.
func (s Schema) Prints(t testing.TB, value any) {
	t.Helper()
	compare(t, s.compiled, reflect.TypeOf(value), "", true)
}

func compare(t testing.TB, s *jsonschema.Schema, typ reflect.Type, path string, printed bool) {
	t.Helper()
	for s.Ref != nil {
		s = s.Ref
	}
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case opaque(typ):
	case typ.Kind() == reflect.Slice:
		compare(t, s.Items2020, typ.Elem(), path+"[]", printed)
	case typ.Kind() == reflect.Map:
		if below, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
			compare(t, below, typ.Elem(), path+"{}", printed)
		}
	case typ.Kind() == reflect.Struct:
		compareStruct(t, s, typ, path, printed)
	}
}

func compareStruct(t testing.TB, s *jsonschema.Schema, typ reflect.Type, path string, printed bool) {
	t.Helper()
	fields := make(map[string]reflect.StructField)
	collect(typ, fields)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(fields)), slices.Sorted(maps.Keys(s.Properties))); diff != "" {
		t.Errorf("fields of %s at %q (-Go +schema):\n%s", typ, path, diff)
		return
	}
	var always []string
	for name, field := range fields {
		compare(t, s.Properties[name], field.Type, path+"."+name, printed)
		if !strings.Contains(field.Tag.Get("json"), ",omit") {
			always = append(always, name)
		}
	}
	slices.Sort(always)
	if diff := cmp.Diff(always, slices.Sorted(slices.Values(s.Required))); printed && diff != "" {
		t.Errorf("required fields of %s at %q (-Go +schema):\n%s", typ, path, diff)
	}
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
