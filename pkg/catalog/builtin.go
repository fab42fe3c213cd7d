// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/xdp-chain/xdp-chain/bpf"
)

// ErrUnknown is behind every error about a name that no entry has.
var ErrUnknown = errors.New("no such program in the catalog")

// builtins are the programs of package bpf, in the order of their names.
var builtins = []Entry{
	{Name: "acl", Priority: new(20), Lists: []string{"rules"}},
	{Name: "count", Priority: new(10)},
	{Name: "drop"},
	{Name: "pass"},
}

// Builtins returns the names of the built-in entries in ascending order.
func Builtins() []string {
	names := make([]string, len(builtins))
	for i, e := range builtins {
		names[i] = e.Name
	}
	return names
}

// Builtin returns the built-in entry of that name. Another name is an error that
// lists the names there are and satisfies errors.Is(err, [ErrUnknown]).
func Builtin(name string) (Entry, error) {
	i := slices.IndexFunc(builtins, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, fmt.Errorf("%w: %q; it has %s; give an object for any other program", ErrUnknown, name, strings.Join(Builtins(), ", "))
	}
	e := builtins[i]
	content, err := bpf.Objects.ReadFile(fmt.Sprintf("%s/%[1]s.o", name))
	if err != nil {
		return Entry{}, fmt.Errorf("reading the built-in program %q: %w", name, err)
	}
	e.Origin = "built-in " + name
	e.Content = content
	e.Function = name
	if e.Priority != nil {
		e.Priority = new(*e.Priority)
	}
	e.Lists = slices.Clone(e.Lists)
	return e, nil
}
