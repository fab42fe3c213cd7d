// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/xdp-chain/xdp-chain/bpf"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/jsonint"
	"github.com/xdp-chain/xdp-chain/internal/strict"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Entry is a program that a chain can have by its name.
type Entry struct {
	// Name is what programs[].name in a configuration says.
	Name string
	// Origin says in messages and records where the object comes from.
	Origin string
	// File is the catalog file that the entry comes from, or that changes the defaults
	// of a built-in. Empty: none.
	File string
	// Object is the absolute path of a BPF ELF object. Empty: it is Content.
	Object string
	// Content is the BPF ELF object of a built-in.
	Content []byte
	// Function is the program's name in the object; empty where the object has one
	// program alone.
	Function string
	// Priority is the entry's place in a chain; nil leaves it to the object.
	Priority *int
	// ProceedOn holds the verdicts after which the next member runs; nil leaves
	// them to the object.
	ProceedOn *chain.ActionSet
	// Globals sets variables of the object by name; values are JSON, as in a
	// configuration.
	Globals map[string]json.RawMessage
	// Settable holds the variables that a pod may set, and to what.
	Settable map[string]Setting
	// Transmits says that the program sends packets back, by XDP_TX or XDP_REDIRECT.
	Transmits bool
	// Lists names the maps that the program reads from key 0 on, up to the first
	// key that is not set. See [Entry.CheckMaps].
	Lists []string
}

// clone returns an entry that shares nothing with e but the settings, which nobody
// changes.
func (e Entry) clone() Entry {
	if e.Priority != nil {
		e.Priority = new(*e.Priority)
	}
	if e.ProceedOn != nil {
		e.ProceedOn = new(*e.ProceedOn)
	}
	e.Globals, e.Settable = maps.Clone(e.Globals), maps.Clone(e.Settable)
	e.Content, e.Lists = slices.Clone(e.Content), slices.Clone(e.Lists)
	return e
}

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

func unknown(name string, names []string) error {
	return fmt.Errorf("%w: %q; it has %s; give an object for any other program", ErrUnknown, name, strings.Join(names, ", "))
}

// CheckMaps returns nil if the program will read every entry that the settings
// give. In a map of [Entry.Lists] it would not see what stands behind a gap in the
// keys, and a rule that silently does not hold is worse than none: that is an error
// that names the gap and satisfies errors.Is(err, [chain.ErrInvalid]). Keys that
// are no numbers are not judged here: they do not fit the map's type.
func (e Entry) CheckMaps(settings map[string]config.MapSettings) error {
	for _, name := range e.Lists {
		entries := settings[name].Entries
		keys := make(map[uint64]bool, len(entries))
		for _, entry := range entries {
			key, err := strconv.ParseUint(strings.Trim(string(entry.Key), `"`), 0, 32)
			if err != nil {
				return nil
			}
			keys[key] = true
		}
		for i := range uint64(len(keys)) {
			if !keys[i] {
				return fmt.Errorf("%w: map %q of program %q has no key %d but key %d; the program reads up to the first key that is missing, so number the entries 0, 1, 2 and so on",
					chain.ErrInvalid, name, e.Name, i, slices.Max(slices.Collect(maps.Keys(keys))))
			}
		}
	}
	return nil
}

// Setting says what a pod may set a variable to: a whole number between two bounds,
// or one of several values. The zero Setting lets nothing through.
type Setting struct {
	// Min and Max are the bounds, both included. Nil: Values counts.
	Min, Max *big.Int
	// Values are the JSON strings, numbers and booleans to choose from.
	Values []json.RawMessage
}

// between returns the setting of a whole number from lowest to highest.
func between(lowest, highest int64) Setting {
	return Setting{Min: big.NewInt(lowest), Max: big.NewInt(highest)}
}

// UnmarshalJSON reads {"min": 1, "max": 9}, where the bounds may be strings of decimal
// or 0x digits as well, or {"values": ["a", "b"]}. Errors are faults with the paths of
// their places in the setting.
func (s *Setting) UnmarshalJSON(document []byte) error {
	var given struct {
		Min    json.RawMessage   `json:"min"`
		Max    json.RawMessage   `json:"max"`
		Values []json.RawMessage `json:"values"`
	}
	if err := strict.JSON(document, &given, strict.Options{}); err != nil {
		return err
	}
	var faults strict.Faults
	bounds := given.Min != nil || given.Max != nil
	switch {
	case bounds == (given.Values != nil):
		faults = append(faults, strict.Faultf("", `want {"min": …, "max": …} or {"values": […]}`))
	case bounds:
		s.Min, s.Max, faults = readBounds(given.Min, given.Max)
	default:
		s.Values, faults = given.Values, valueFaults(given.Values)
	}
	return faults.Err()
}

func readBounds(lowest, highest json.RawMessage) (*big.Int, *big.Int, strict.Faults) {
	var faults strict.Faults
	read := func(path string, value json.RawMessage) *big.Int {
		if value == nil {
			faults = append(faults, strict.Faultf("", "it has no %s; give both bounds", path))
			return nil
		}
		n, ok := jsonint.Parse(value)
		if !ok {
			faults = append(faults, strict.Faultf(path, "want a whole number, got %s", strict.Shown(value)))
		}
		return n
	}
	from, to := read("min", lowest), read("max", highest)
	if len(faults) == 0 && from.Cmp(to) > 0 {
		faults = append(faults, strict.Faultf("", "min %v is over max %v", from, to))
	}
	return from, to, faults
}

func valueFaults(values []json.RawMessage) strict.Faults {
	if len(values) == 0 {
		return strict.Faults{strict.Faultf("values", "the list is empty; give at least one value, or take the variable out of settable")}
	}
	var faults strict.Faults
	for i, v := range values {
		if strings.ContainsAny(string(v[:1]), "[{n") {
			faults = append(faults, strict.Faultf(fmt.Sprintf("values[%d]", i), "want a string, a number, true or false, got %s", strict.Shown(v)))
		}
	}
	return faults
}

// Accept returns the value that a pod's value stands for, written as what was checked: a
// whole number in decimal digits (as a string past 2^53), or the listed value. It returns
// false for a value that the setting does not let through.
func (s Setting) Accept(value json.RawMessage) (json.RawMessage, bool) {
	if s.Min == nil || s.Max == nil {
		i := slices.IndexFunc(s.Values, func(v json.RawMessage) bool { return same(v, value) })
		if i < 0 {
			return nil, false
		}
		return s.Values[i], true
	}
	n, ok := jsonint.Parse(value)
	if !ok || n.Cmp(s.Min) < 0 || n.Cmp(s.Max) > 0 {
		return nil, false
	}
	return jsonint.JSON(n), true
}

// same reports whether two JSON values are the same string, boolean or number; 1 is
// not "1", and 1.0 is not 1.
func same(a, b json.RawMessage) bool {
	quote := []byte{'"'}
	if bytes.HasPrefix(a, quote) && bytes.HasPrefix(b, quote) {
		var left, right string
		return json.Unmarshal(a, &left) == nil && json.Unmarshal(b, &right) == nil && left == right
	}
	return bytes.Equal(a, b)
}

// Extremes returns values that a variable must all be able to hold for the setting
// to fit it: the two bounds, or each listed value.
func (s Setting) Extremes() []json.RawMessage {
	if s.Min == nil || s.Max == nil {
		return s.Values
	}
	return []json.RawMessage{jsonint.JSON(s.Min), jsonint.JSON(s.Max)}
}

// String says what the setting lets through: "1 to 9", or "\"a\" or \"b\"".
func (s Setting) String() string {
	if s.Min != nil && s.Max != nil {
		return fmt.Sprintf("%v to %v", s.Min, s.Max)
	}
	const most = 8
	var list []string
	for _, v := range s.Values[:min(len(s.Values), most)] {
		list = append(list, strict.Shown(v))
	}
	if len(s.Values) > most {
		list = append(list, "…")
	}
	return strings.Join(list, " or ")
}
