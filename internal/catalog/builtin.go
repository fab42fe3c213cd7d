// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/xdp-chain/xdp-chain/bpf"
)

// builtins are the programs of package bpf, in the order of their names.
var builtins = []Entry{
	{Name: "acl", Priority: new(20), Lists: []string{"rules"}},
	{Name: "count", Priority: new(10)},
	{Name: "drop"},
	{Name: "flow-stats", Priority: new(120)},
	// A bridge floods frames to others too: only those to the pod are its to answer.
	{Name: "icmp-echo", Priority: new(130), Transmits: true, Globals: map[string]json.RawMessage{"mac": json.RawMessage(`"${pod.mac}"`)}},
	{Name: "pass"},
	{Name: "ratelimit", Priority: new(110), Settable: map[string]Setting{
		"pps":   between(1, 100_000),
		"bps":   between(8_000, 10_000_000_000),
		"burst": between(1, 100_000),
	}},
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
		return Entry{}, unknown(name, Builtins())
	}
	e := builtins[i].clone()
	content, err := bpf.Objects.ReadFile(fmt.Sprintf("%s/%[1]s.o", name))
	if err != nil {
		return Entry{}, fmt.Errorf("reading the built-in program %q: %w", name, err)
	}
	e.Origin = "built-in " + name
	e.Content = content
	// A function's name in C has no hyphens.
	e.Function = strings.ReplaceAll(name, "-", "_")
	return e, nil
}

func isBuiltin(name string) bool {
	return slices.ContainsFunc(builtins, func(e Entry) bool { return e.Name == name })
}

func unknown(name string, names []string) error {
	return fmt.Errorf("%w: %q; it has %s; give an object for any other program", ErrUnknown, name, strings.Join(names, ", "))
}
