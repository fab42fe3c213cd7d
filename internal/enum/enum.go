// SPDX-License-Identifier: Apache-2.0

// Package enum gives closed enumerations their text: the name of each value, in JSON, on
// the command line and in messages alike.
//
// An enumeration is a type of its own over uint8 whose values count from 0 without gaps.
// A variable of its package holds its [Names], of which command enumgen makes the methods
// String, MarshalText and UnmarshalText: `go generate ./internal/enum` does so in all
// packages. A name that is not listed is never read, and a value without a name never
// written.
//
// # Traps
//
// omitempty leaves out the value 0 whatever its name is, as encoding/json looks at the
// number and not at the text.
package enum

//go:generate go run ./enumgen ../..

import (
	"fmt"
	"slices"
	"strings"
)

// Names are the names of the values of T.
type Names[T ~uint8] struct {
	// What is enumerated, such as "mode": the word that messages have for it.
	What string
	// Invalid is what errors wrap, for callers to tell them by.
	Invalid error
	// List has the name of each value at its index. An empty name is that of what nobody
	// chose; it is read and written, and not among those that messages offer.
	List []string
}

// String returns the name of a value, or such as "mode(7)" for one that has none.
func (n *Names[T]) String(v T) string {
	if int(v) < len(n.List) {
		return n.List[v]
	}
	return fmt.Sprintf("%s(%d)", n.What, uint8(v))
}

// Marshal returns the name of a value. One that has none is an error that wraps Invalid.
func (n *Names[T]) Marshal(v T) ([]byte, error) {
	if int(v) >= len(n.List) {
		return nil, fmt.Errorf("%w: %s has no name", n.Invalid, n.String(v))
	}
	return []byte(n.List[v]), nil
}

// Unmarshal sets *v to the value of a name, which is taken exactly as it is written. Any
// other text is an error that lists the names and wraps Invalid; *v stays as it was.
func (n *Names[T]) Unmarshal(text []byte, v *T) error {
	if i := slices.Index(n.List, string(text)); i >= 0 {
		*v = T(i)
		return nil
	}
	choice := slices.DeleteFunc(slices.Clone(n.List), func(name string) bool { return name == "" })
	return fmt.Errorf("%w: %s %q; use one of %s", n.Invalid, n.What, text, strings.Join(choice, ", "))
}
