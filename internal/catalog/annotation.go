// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/config"
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
