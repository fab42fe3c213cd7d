// SPDX-License-Identifier: Apache-2.0

package strict

import (
	"reflect"
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
