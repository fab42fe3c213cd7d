// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// later are the fields of the documented configuration that this version does
// not have. They are refused rather than ignored: a chain without what they ask
// for is not the chain that was asked for.
var later = map[string]string{
	"annotations": "programs from pod annotations are not in this version of xdp-chain; list them under programs",
	"image":       "programs from OCI images are not in this version of xdp-chain; use object with a file's path, or the name of a built-in",
}

// explain returns what keeps a JSON document from being a value of type t, a
// sentence a fault, each beginning with its path such as programs[1].priority.
// It runs only when decoding has met a fault: encoding/json reports positions
// without list indexes and map keys, and none at all for types that decode
// themselves.
func explain(document json.RawMessage, t reflect.Type, path string) []string {
	if string(document) == "null" {
		return nil
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[chain.ActionSet]() {
		// It decodes itself, from a list that can be explained item by item.
		if faults := explain(document, reflect.TypeFor[[]chain.Action](), path); len(faults) > 0 {
			return faults
		}
	}
	if decodesItself(t) {
		return explainLeaf(document, t, path)
	}
	switch t.Kind() {
	case reflect.Struct:
		return explainStruct(document, t, path)
	case reflect.Map:
		values, faults := decodeParts[map[string]json.RawMessage](document, t, path)
		for _, key := range slices.Sorted(maps.Keys(values)) {
			faults = append(faults, explain(values[key], t.Elem(), join(path, key))...)
		}
		return faults
	case reflect.Slice:
		items, faults := decodeParts[[]json.RawMessage](document, t, path)
		for i, item := range items {
			faults = append(faults, explain(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))...)
		}
		return faults
	default:
		return explainLeaf(document, t, path)
	}
}

func explainStruct(document json.RawMessage, t reflect.Type, path string) []string {
	values, faults := decodeParts[map[string]json.RawMessage](document, t, path)
	fields := fieldTypes(t)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		field, known := fields[key]
		switch {
		case known:
			faults = append(faults, explain(values[key], field, join(path, key))...)
		case path == "" && strings.HasPrefix(key, reservedPrefix):
		default:
			faults = append(faults, join(path, key)+": "+unknown(key, fields))
		}
	}
	return faults
}

// decodeParts decodes a list or an object one level deep.
func decodeParts[P any](document json.RawMessage, t reflect.Type, path string) (P, []string) {
	var parts P
	if err := json.Unmarshal(document, &parts); err != nil {
		return parts, []string{mismatch(document, t, path)}
	}
	return parts, nil
}

func explainLeaf(document json.RawMessage, t reflect.Type, path string) []string {
	err := json.Unmarshal(document, reflect.New(t).Interface())
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrongType):
		return []string{mismatch(document, wrongType.Type, path)}
	default:
		return []string{fmt.Sprintf("%s: %v", path, err)}
	}
}

// mismatch says that the document at path is not what t decodes from.
func mismatch(document json.RawMessage, t reflect.Type, path string) string {
	const longest = 40
	got := string(document)
	if len(got) > longest {
		got = strings.ToValidUTF8(got[:longest], "") + "…"
	}
	if path == "" {
		path = "the network configuration"
	}
	return fmt.Sprintf("%s: want %s, got %s", path, wanted(t), got)
}

// wanted names the JSON that a Go type decodes from.
func wanted(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "a string"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Uint32:
		return "a whole number from 0 to 4294967295"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// fieldTypes returns the type of each JSON field of a struct, embedded structs'
// included.
func fieldTypes(t reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type)
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			fields[name] = f.Type
		}
	}
	return fields
}

// duplicates returns those of the strict decoder's complaints that are about
// fields given twice.
func duplicates(complaints []error) []string {
	var faults []string
	for _, c := range complaints {
		if path, ok := strings.CutPrefix(c.Error(), "duplicate field "); ok {
			faults = append(faults, strings.Trim(path, `"`)+": the field is there twice; which one counts would be a guess")
		}
	}
	return faults
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// unknown says that a field is none of ours, and which one may have been meant.
func unknown(key string, fields map[string]reflect.Type) string {
	if sentence, ok := later[key]; ok {
		return sentence
	}
	names := slices.Sorted(maps.Keys(fields))
	if near := nearest(key, names); near != "" {
		return fmt.Sprintf("unknown field; did you mean %q?", near)
	}
	return "unknown field"
}
