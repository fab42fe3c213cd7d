// SPDX-License-Identifier: Apache-2.0

// Package enumtest tests that types with a text of their own print and parse it.
package enumtest

import (
	"encoding"
	"errors"
	"testing"
)

// Text is what such a type prints.
type Text interface {
	comparable
	encoding.TextMarshaler
	String() string
}

// Parser is a pointer to T, which parses what T prints.
type Parser[T any] interface {
	*T
	encoding.TextUnmarshaler
}

// PrintAndParse fails unless each value prints as its text, and the text parses as the
// value.
func PrintAndParse[T Text, P Parser[T]](t *testing.T, texts map[T]string) {
	t.Helper()
	for value, want := range texts {
		got, err := value.MarshalText()
		if err != nil || string(got) != want || value.String() != want {
			t.Errorf("%#v prints as %q and %q, %v; want %q", value, got, value.String(), err, want)
			continue
		}
		var back T
		if err := P(&back).UnmarshalText(got); err != nil || back != value {
			t.Errorf("%q parses as %#v, %v; want %#v", got, back, err, value)
		}
	}
}

// Refuse fails unless parsing each text, and printing each value, is an error that
// satisfies errors.Is(err, invalid).
func Refuse[T Text, P Parser[T]](t *testing.T, invalid error, texts []string, values ...T) {
	t.Helper()
	for _, text := range texts {
		var into T
		if err := P(&into).UnmarshalText([]byte(text)); !errors.Is(err, invalid) {
			t.Errorf("%T takes %q: %v", into, text, err)
		}
	}
	for _, value := range values {
		if got, err := value.MarshalText(); !errors.Is(err, invalid) {
			t.Errorf("%#v prints as %q, %v", value, got, err)
		}
	}
}
