// SPDX-License-Identifier: Apache-2.0

package enum

import (
	"encoding/json"
	"errors"
	"testing"
)

var errInvalid = errors.New("wrong")

type fruit uint8

var fruits = Names[fruit]{What: "fruit", Invalid: errInvalid, List: []string{"", "apple", "pear"}}

func (f fruit) String() string                   { return fruits.String(f) }
func (f fruit) MarshalText() ([]byte, error)     { return fruits.Marshal(f) }
func (f *fruit) UnmarshalText(text []byte) error { return fruits.Unmarshal(text, f) }

func TestNames(t *testing.T) {
	for value, name := range fruits.List {
		f := fruit(value)
		text, err := f.MarshalText()
		if err != nil || string(text) != name || f.String() != name {
			t.Errorf("%d prints as %q and %q, %v; want %q", value, text, f, err, name)
		}
		back := fruit(9)
		if err := back.UnmarshalText(text); err != nil || back != f {
			t.Errorf("%q is read as %d, %v; want %d", text, back, err, value)
		}
	}
}

func TestNamesOfNothing(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"Apple", `wrong: fruit "Apple"; use one of apple, pear`},
		{"apple ", `wrong: fruit "apple "; use one of apple, pear`},
		{"1", `wrong: fruit "1"; use one of apple, pear`},
		{"fruit(3)", `wrong: fruit "fruit(3)"; use one of apple, pear`},
	} {
		f := fruit(2)
		if err := f.UnmarshalText([]byte(tt.text)); !errors.Is(err, errInvalid) || err.Error() != tt.want || f != 2 {
			t.Errorf("%q is read as %d, %v; want %s", tt.text, f, err, tt.want)
		}
	}
	for _, value := range []fruit{3, 255} {
		if text, err := value.MarshalText(); !errors.Is(err, errInvalid) {
			t.Errorf("%d is written as %q, %v", uint8(value), text, err)
		}
	}
	if got := fruit(3).String(); got != "fruit(3)" {
		t.Errorf("3 prints as %q", got)
	}
}

func TestNamesInJSON(t *testing.T) {
	type basket struct {
		Always fruit               `json:"always"`
		Chosen fruit               `json:"chosen,omitempty"`
		Counts map[fruit]int       `json:"counts,omitempty"`
		Nested []struct{ F fruit } `json:"nested,omitempty"`
	}
	for _, document := range []string{
		`{"always":""}`,
		`{"always":"apple","chosen":"pear","counts":{"apple":2},"nested":[{"F":"pear"}]}`,
	} {
		var b basket
		if err := json.Unmarshal([]byte(document), &b); err != nil {
			t.Fatal(err)
		}
		if back, err := json.Marshal(b); err != nil || string(back) != document {
			t.Errorf("%s comes back as %s, %v", document, back, err)
		}
	}
	if document, err := json.Marshal(basket{Always: 3}); !errors.Is(err, errInvalid) {
		t.Errorf("a value without a name is written as %s, %v", document, err)
	}
}
