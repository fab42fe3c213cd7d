// SPDX-License-Identifier: Apache-2.0

package strict

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	kjson "sigs.k8s.io/json"
)

// Options are what is special about a kind of document.
type Options struct {
	// Document names the whole document in messages. Empty: a fault of the whole has no
	// path.
	Document string
	// Foreign begins the names of fields of the outermost object that are not judged.
	// Empty: there are none.
	Foreign string
	// Refused has a sentence for each field that is known and yet not taken, wherever
	// it stands.
	Refused map[string]string
	// Lists has, for a type that decodes itself from a list, the type of a list that can be
	// explained item by item.
	Lists map[reflect.Type]reflect.Type
}

// SyntaxError is what is wrong with a document that is not JSON.
type SyntaxError struct {
	// Offset is the number of bytes before the error.
	Offset int64
	// Err is what the parser says.
	Err error
}

func (e *SyntaxError) Error() string { return e.Err.Error() }

// Unwrap returns what the parser says.
func (e *SyntaxError) Unwrap() error { return e.Err }

// JSON decodes a document into what a pointer points to. Names are exact; what the
// document does not mention, and what it says null for, stays as it was. Errors are
// [Faults] for fields that are unknown, given twice or wrong in type or value, and a
// *[SyntaxError] for what is not JSON.
func JSON(document []byte, into any, o Options) error {
	complaints, err := kjson.UnmarshalStrict(document, into)
	if ok, offset := kjson.SyntaxErrorOffset(err); ok {
		return &SyntaxError{Offset: offset, Err: err}
	}
	if err == nil && len(complaints) == 0 {
		return nil
	}
	e := explainer{o}
	faults := append(e.explain(document, reflect.TypeOf(into).Elem(), ""), duplicates(complaints)...)
	if err != nil && len(faults) == 0 {
		faults = Faults{{Text: err.Error()}}
	}
	for i := range faults {
		if faults[i].Path == "" {
			faults[i].Path = o.Document
		}
	}
	return faults.Err()
}

// duplicates returns those of the strict decoder's complaints that are about
// fields given twice.
func duplicates(complaints []error) Faults {
	var faults Faults
	for _, c := range complaints {
		if path, ok := strings.CutPrefix(c.Error(), "duplicate field "); ok {
			faults = append(faults, Fault{Path: strings.Trim(path, `"`), Text: "the field is there twice; which one counts would be a guess"})
		}
	}
	return faults
}

// explainer finds what keeps a JSON document from being a value of a type.
type explainer struct{ Options }

// explain returns the faults of a document that is to be a value of type t and
// stands at path.
func (e explainer) explain(document json.RawMessage, t reflect.Type, path string) Faults {
	// A null leaves things as they were, but for a type that decodes itself.
	if string(document) == "null" && (t.Kind() == reflect.Pointer || !decodesItself(t)) {
		return nil
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if list, ok := e.Lists[t]; ok {
		if faults := e.explain(document, list, path); len(faults) > 0 {
			return faults
		}
	}
	if decodesItself(t) {
		return explainLeaf(document, t, path)
	}
	switch t.Kind() {
	case reflect.Struct:
		return e.explainStruct(document, t, path)
	case reflect.Map:
		values, faults := decodeParts[map[string]json.RawMessage](document, t, path)
		for _, key := range slices.Sorted(maps.Keys(values)) {
			faults = append(faults, e.explain(values[key], t.Elem(), join(path, key))...)
		}
		return faults
	case reflect.Slice:
		items, faults := decodeParts[[]json.RawMessage](document, t, path)
		for i, item := range items {
			faults = append(faults, e.explain(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))...)
		}
		return faults
	default:
		return explainLeaf(document, t, path)
	}
}

func (e explainer) explainStruct(document json.RawMessage, t reflect.Type, path string) Faults {
	values, faults := decodeParts[map[string]json.RawMessage](document, t, path)
	fields := fieldTypes(t)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		field, known := fields[key]
		switch {
		case known:
			faults = append(faults, e.explain(values[key], field, join(path, key))...)
		case path == "" && e.Foreign != "" && strings.HasPrefix(key, e.Foreign):
		default:
			faults = append(faults, Fault{Path: join(path, key), Text: e.unknown(key, fields)})
		}
	}
	return faults
}

// decodeParts decodes a list or an object one level deep.
func decodeParts[P any](document json.RawMessage, t reflect.Type, path string) (P, Faults) {
	var parts P
	if err := json.Unmarshal(document, &parts); err != nil {
		return parts, Faults{mismatch(document, t, path)}
	}
	return parts, nil
}

func explainLeaf(document json.RawMessage, t reflect.Type, path string) Faults {
	err := json.Unmarshal(document, reflect.New(t).Interface())
	var own Faults
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		faults := make(Faults, len(own))
		for i, f := range own {
			faults[i] = f.Below(path)
		}
		return faults
	case errors.As(err, &wrongType):
		return Faults{mismatch(document, wrongType.Type, path)}
	default:
		return Faults{{Path: path, Text: err.Error()}}
	}
}

// mismatch says that the document at path is not what t decodes from.
func mismatch(document json.RawMessage, t reflect.Type, path string) Fault {
	return Faultf(path, "want %s, got %s", wanted(t), Shown(document))
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
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			fields[name] = f.Type
		}
	}
	return fields
}

// unknown says that a field is none of ours, and which one may have been meant.
func (e explainer) unknown(key string, fields map[string]reflect.Type) string {
	if sentence, ok := e.Refused[key]; ok {
		return sentence
	}
	names := slices.Sorted(maps.Keys(fields))
	if near := nearest(key, names); near != "" {
		return fmt.Sprintf("unknown field; did you mean %q?", near)
	}
	return "unknown field"
}

// nearest returns the name that a misspelt one most likely stands for: the same
// but for case, one that begins with it, or one within two typing errors. It
// returns "" where nothing is near.
func nearest(word string, names []string) string {
	word = strings.ToLower(word)
	best, bestDistance := "", 3
	for _, name := range names {
		lower := strings.ToLower(name)
		if len(word) >= 3 && strings.HasPrefix(lower, word) {
			return name
		}
		// In short words as many errors would leave nothing in common.
		if d := distance(word, lower); d < bestDistance && d*2 <= len(word) {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance returns the least number of bytes to insert, delete or replace that
// makes b of a (Levenshtein), and 3 at once for lengths that far apart.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
