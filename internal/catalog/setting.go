// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/jsonint"
	"github.com/xdp-chain/xdp-chain/internal/strict"
)

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
