// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/strict"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Policy says what the annotations of a network's pods may ask for. The zero Policy
// allows nothing; a nil one ignores annotations.
type Policy struct {
	// Allow has the names of the programs that may be asked for.
	Allow []string `json:"allow"`
	// Priorities is where their priorities must lie, whoever gives them.
	Priorities chain.Band `json:"priorities"`
	// Max is how many programs a pod may ask for.
	Max int `json:"max"`
}

// The figures of a policy that does not give them. The band lies behind the default
// priority of a configuration's own programs, [chain.DefaultPriority].
const (
	defaultLowest  = 100
	defaultHighest = 199
	defaultMax     = 4
	// highestMax is how many members the larger of the dispatchers calls.
	highestMax = 64
)

// UnmarshalJSON reads a configuration's field annotations, strictly: what is not
// mentioned is none for allow, 100 to 199 for priorities and 4 for max. Errors are faults
// with the paths of their places in the field.
func (p *Policy) UnmarshalJSON(text []byte) error {
	type plain Policy
	given := plain{Priorities: chain.Band{Min: defaultLowest, Max: defaultHighest}, Max: defaultMax}
	if err := strict.JSON(text, &given, strict.Options{}); err != nil {
		return err
	}
	*p = Policy(given)
	return p.faults().Err()
}

func (p *Policy) faults() strict.Faults {
	var faults strict.Faults
	for i, name := range p.Allow {
		path := fmt.Sprintf("allow[%d]", i)
		if err := chain.CheckName(name); err != nil {
			faults = append(faults, strict.Faultf(path, "%v", err))
		} else if first := slices.Index(p.Allow, name); first < i {
			faults = append(faults, strict.Faultf(path, "%q is allowed by allow[%d] already", name, first))
		}
	}
	if err := p.Priorities.Check(); err != nil {
		faults = append(faults, strict.Faultf("priorities", "%v", err))
	}
	if p.Max < 0 || p.Max > highestMax {
		faults = append(faults, strict.Faultf("max", "%d; it goes from 0 to %d", p.Max, highestMax))
	}
	return faults
}

// Programs returns the programs that a pod gets for its annotation [Annotation] on top of
// those that it always gets, on whichever side. Of a program it sets Name; Priority where
// the annotation gives one; Globals, which are settable and as the settings write them;
// and Band, since a priority may yet come from the object. Everything else is left to
// the catalog.
//
// What the policy does not allow is an error that satisfies errors.Is(err,
// [chain.ErrPolicy]), a sentence a line; what the catalog lacks is [ErrUnknown] or
// [ErrBroken].
func (p *Policy) Programs(annotation string, always []chain.Program, c *Catalog) ([]chain.Program, error) {
	if p == nil {
		return nil, nil
	}
	several := strings.Contains(annotation, "\n")
	requests, lines, err := parseAnnotation(annotation)
	if err != nil {
		return nil, refuse(err, several)
	}
	if faults := p.nameFaults(requests, always); len(faults) > 0 {
		return nil, refuse(lines.Locate(faults), several)
	}
	var faults strict.Faults
	programs := make([]chain.Program, 0, len(requests))
	for i := range requests {
		entry, err := c.Entry(requests[i].Name)
		if err != nil {
			return nil, fmt.Errorf("annotation %s: %w", Annotation, err)
		}
		program, wrong := p.program(&requests[i], &entry)
		programs, faults = append(programs, program), append(faults, wrong...)
	}
	if len(faults) > 0 {
		return nil, refuse(lines.Locate(faults), several)
	}
	return programs, nil
}

// nameFaults returns what is wrong with the number of the requests and with their names.
// It comes before any look at the catalog: names that are not allowed are of no interest
// there.
func (p *Policy) nameFaults(requests []request, always []chain.Program) strict.Faults {
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
			faults = append(faults, strict.Faultf(r.path, "program %s is not allowed; %s", name, p.allowed()))
		case slices.ContainsFunc(always, func(a chain.Program) bool { return a.Name == r.Name }):
			faults = append(faults, strict.Faultf(r.path, "program %s is in the network's configuration already; a pod cannot change it", name))
		case slices.ContainsFunc(requests[:i], func(earlier request) bool { return earlier.Name == r.Name }):
			faults = append(faults, strict.Faultf(r.path, "program %s is named twice", name))
		}
	}
	return faults
}

// allowed says which names are allowed.
func (p *Policy) allowed() string {
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

// program returns the program that a request stands for, as far as its entry lets it.
func (p *Policy) program(r *request, entry *Entry) (chain.Program, strict.Faults) {
	var faults strict.Faults
	band := p.Priorities
	switch {
	case r.Priority != nil && band.Admit(*r.Priority) != nil:
		faults = append(faults, strict.Faultf("priority", "%d is not from %d to %d", *r.Priority, band.Min, band.Max).Below(r.path))
	case r.Priority == nil && entry.Priority != nil && band.Admit(*entry.Priority) != nil:
		faults = append(faults, strict.Faultf(r.path, "program %q has priority %d in the catalog, which is not from %d to %d; give one that is",
			r.Name, *entry.Priority, band.Min, band.Max))
	}
	program := chain.Program{Name: r.Name, Priority: r.Priority, Band: &band}
	for _, global := range slices.Sorted(maps.Keys(r.Globals)) {
		value, fault := entry.settle(global, r.Globals[global])
		if fault != "" {
			faults = append(faults, strict.Field("globals", global, fault).Below(r.path))
			continue
		}
		if program.Globals == nil {
			program.Globals = make(map[string]json.RawMessage, len(r.Globals))
		}
		program.Globals[global] = value
	}
	return program, faults
}

// settle returns the value that a pod's value for a global stands for, or what is wrong
// with that.
func (e *Entry) settle(global string, value json.RawMessage) (accepted json.RawMessage, fault string) {
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
		return fmt.Errorf("%w: annotation %s: %w", chain.ErrPolicy, Annotation, err)
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
	return fmt.Errorf("%w: annotation %s: %s", chain.ErrPolicy, Annotation, strings.Join(lines, "\n"))
}
