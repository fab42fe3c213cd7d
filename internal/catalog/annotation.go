// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/jsonint"
	"github.com/xdp-chain/xdp-chain/internal/strict"
)

// Annotation is the key of the pods' annotation that names programs.
const Annotation = "xdp-chain.io/programs"

// maxAnnotation is the size of the longest annotation that is read, in bytes.
// Kubernetes itself lets all annotations of a pod have 256 KiB together.
const maxAnnotation = 16 << 10

// request is a program that an annotation names.
type request struct {
	Name     string                     `json:"name"`
	Priority *int                       `json:"priority"`
	Globals  map[string]json.RawMessage `json:"globals"`
	// path is where in the annotation it stands; empty in a text of names.
	path string
}

// adminOnly are the fields of a program that only an administrator can give.
var adminOnly = map[string]string{
	"object":    adminOnlyText,
	"image":     adminOnlyText,
	"function":  adminOnlyText,
	"proceedOn": adminOnlyText,
	"side":      adminOnlyText,
	"maps":      adminOnlyText,
}

const adminOnlyText = "a pod cannot give this; it can give name, priority and globals of a program in the catalog"

// UnmarshalJSON reads a name, or an object with at least a name.
func (r *request) UnmarshalJSON(document []byte) error {
	switch document[0] {
	case '"':
		return json.Unmarshal(document, &r.Name)
	case '{':
		type plain request
		return strict.JSON(document, (*plain)(r), strict.Options{Refused: adminOnly})
	default:
		return strict.Faults{strict.Faultf("", "want a program's name, or an object with a name, got %s", strict.Shown(document))}
	}
}

// parseAnnotation reads an annotation: names with commas between them, or a list of
// names and objects, in YAML or JSON. A blank text names nothing. The lines are those of
// the requests' paths. Errors are [strict.Faults] with lines.
func parseAnnotation(text string) ([]request, strict.Lines, error) {
	if len(text) > maxAnnotation {
		return nil, nil, strict.Faults{strict.Faultf("", "it has %d bytes; at most %d are read", len(text), maxAnnotation)}
	}
	if strings.TrimSpace(text) == "" {
		return nil, nil, nil
	}
	raw, lines, err := strict.YAML([]byte(text))
	if err != nil {
		return nil, nil, err
	}
	var requests []request
	switch raw[0] {
	case '"':
		requests, err = parseNames(raw)
	case '[':
		err = strict.JSON(raw, &requests, strict.Options{})
		for i := range requests {
			requests[i].path = fmt.Sprintf("[%d]", i)
		}
	default:
		err = strict.Faults{strict.Faultf("", "want names with commas between them, or a list, got %s", strict.Shown(raw))}
	}
	if err != nil {
		return nil, nil, lines.Locate(err)
	}
	return requests, lines, nil
}

// parseNames reads the names in a JSON string.
func parseNames(raw []byte) ([]request, error) {
	const blanks = " \t\r\n"
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, err
	}
	if strings.Trim(text, blanks) == "" {
		return nil, nil
	}
	var requests []request
	for name := range strings.SplitSeq(text, ",") {
		requests = append(requests, request{Name: strings.Trim(name, blanks)})
	}
	return requests, nil
}

// Programs returns the programs that a pod gets for its annotation [Annotation] on top of
// those that it always gets, on whichever side. Of a program it sets Name; Priority where
// the annotation gives one; Globals, which are settable and as the settings write them;
// and Band, since a priority may yet come from the object. Everything else is left to
// the catalog.
//
// What the policy does not allow is an error that satisfies errors.Is(err,
// [config.ErrPolicy]), a sentence a line; what the catalog lacks is [ErrUnknown] or
// [ErrBroken].
func (c *Catalog) Programs(p *config.Policy, annotation string, always []config.Program) ([]config.Program, error) {
	if p == nil {
		return nil, nil
	}
	several := strings.Contains(annotation, "\n")
	requests, lines, err := parseAnnotation(annotation)
	if err != nil {
		return nil, refuse(err, several)
	}
	if faults := nameFaults(p, requests, always); len(faults) > 0 {
		return nil, refuse(lines.Locate(faults), several)
	}
	var faults strict.Faults
	programs := make([]config.Program, 0, len(requests))
	for i := range requests {
		entry, err := c.Entry(requests[i].Name)
		if err != nil {
			return nil, fmt.Errorf("annotation %s: %w", Annotation, err)
		}
		more, wrong := programFor(p, &requests[i], &entry)
		programs, faults = append(programs, more), append(faults, wrong...)
	}
	if len(faults) > 0 {
		return nil, refuse(lines.Locate(faults), several)
	}
	return programs, nil
}

// nameFaults returns what is wrong with the number of the requests and with their names.
// It comes before any look at the catalog: names that are not allowed are of no interest
// there.
func nameFaults(p *config.Policy, requests []request, always []config.Program) strict.Faults {
	if len(requests) > p.Max {
		return strict.Faults{strict.Faultf("", "it names %d programs; at most %d are allowed", len(requests), p.Max)}
	}
	var faults strict.Faults
	for i, r := range requests {
		name := strict.Quoted(r.Name)
		switch {
		case r.Name == "":
			faults = append(faults, strict.Faultf(r.path, "a program's name is missing (program %d of %d)", i+1, len(requests)))
		case !slices.Contains(p.Allow, r.Name):
			faults = append(faults, strict.Faultf(r.path, "program %s is not allowed; %s", name, allowed(p)))
		case slices.ContainsFunc(always, func(a config.Program) bool { return a.Name == r.Name }):
			faults = append(faults, strict.Faultf(r.path, "program %s is in the network's configuration already; a pod cannot change it", name))
		case slices.ContainsFunc(requests[:i], func(earlier request) bool { return earlier.Name == r.Name }):
			faults = append(faults, strict.Faultf(r.path, "program %s is named twice", name))
		}
	}
	return faults
}

// allowed says which names are allowed.
func allowed(p *config.Policy) string {
	if len(p.Allow) == 0 {
		return "no program is"
	}
	const most = 16
	names := strings.Join(p.Allow[:min(len(p.Allow), most)], ", ")
	if len(p.Allow) > most {
		names += ", …"
	}
	return "allowed: " + names
}

// programFor returns the program that a request stands for, as far as its entry lets it.
func programFor(p *config.Policy, r *request, entry *Entry) (config.Program, strict.Faults) {
	var faults strict.Faults
	band := p.Priorities
	switch {
	case r.Priority != nil && band.Admit(*r.Priority) != nil:
		faults = append(faults, strict.Faultf("priority", "%d is not from %d to %d", *r.Priority, band.Min, band.Max).Below(r.path))
	case r.Priority == nil && entry.Priority != nil && band.Admit(*entry.Priority) != nil:
		faults = append(faults, strict.Faultf(r.path, "program %q has priority %d in the catalog, which is not from %d to %d; give one that is",
			r.Name, *entry.Priority, band.Min, band.Max))
	}
	asked := config.Program{Name: r.Name, Priority: r.Priority, Band: &band}
	for _, global := range slices.Sorted(maps.Keys(r.Globals)) {
		value, fault := entry.acceptGlobal(global, r.Globals[global])
		if fault != "" {
			faults = append(faults, strict.Field("globals", global, fault).Below(r.path))
			continue
		}
		if asked.Globals == nil {
			asked.Globals = make(map[string]json.RawMessage, len(r.Globals))
		}
		asked.Globals[global] = value
	}
	return asked, faults
}

// acceptGlobal returns the value that a pod's value for a global stands for, or what is wrong
// with that.
func (e *Entry) acceptGlobal(global string, value json.RawMessage) (accepted json.RawMessage, fault string) {
	setting, settable := e.Settable[global]
	switch {
	case !settable && len(e.Settable) == 0:
		return nil, fmt.Sprintf("a pod can set nothing of program %q", e.Name)
	case !settable:
		names := slices.Sorted(maps.Keys(e.Settable))
		return nil, fmt.Sprintf("a pod cannot set it; of program %q it can set %s", e.Name, strings.Join(names, ", "))
	}
	accepted, ok := setting.Accept(value)
	if !ok {
		return nil, fmt.Sprintf("%s is not %s", strict.Shown(value), setting)
	}
	return accepted, ""
}

// refuse makes the error of an annotation's faults. It names a few of them: a pod's
// author may have given any number.
func refuse(err error, several bool) error {
	const most = 8
	faults, ok := errors.AsType[strict.Faults](err)
	if !ok {
		return fmt.Errorf("%w: annotation %s: %w", config.ErrPolicy, Annotation, err)
	}
	var lines []string
	for _, f := range faults[:min(len(faults), most)] {
		line := f.String()
		if several && f.Line > 0 {
			line = fmt.Sprintf("line %d: %s", f.Line, line)
		}
		lines = append(lines, line)
	}
	if len(faults) > most {
		lines = append(lines, fmt.Sprintf("and %d more", len(faults)-most))
	}
	return fmt.Errorf("%w: annotation %s: %s", config.ErrPolicy, Annotation, strings.Join(lines, "\n"))
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
