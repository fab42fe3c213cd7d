// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/strict"
	"github.com/xdp-chain/xdp-chain/internal/trusted"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// file is a catalog file that was read.
type file struct {
	path  string
	entry Entry
	// err is what is wrong with the file; then there is no entry.
	err error
	// names are those whose entries depend on the file: its entry's, or for a file with an
	// error all that it may have been meant for.
	names []string
}

// readFile reads a file's entry, or finds what is wrong with it.
func readFile(path string) *file {
	f := &file{path: path}
	text, err := trusted.ReadFile(path, maxFileSize)
	if err != nil {
		f.err = fmt.Errorf("%w: %s: %w", ErrBroken, path, err)
		text = readBeginning(path)
	} else if f.entry, err = decode(text, path); err != nil {
		f.err = brokenLines(path, err)
	}
	if f.err != nil {
		f.names = claimedNames(path, text)
	} else {
		f.names = []string{f.entry.Name}
	}
	return f
}

// brokenLines says where in a file each fault is, one a line.
func brokenLines(path string, err error) error {
	faults, ok := errors.AsType[strict.Faults](err)
	if !ok {
		return fmt.Errorf("%w: %s: %w", ErrBroken, path, err)
	}
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = fmt.Errorf("%w: %s:%d: %s", ErrBroken, path, f.Line, f)
	}
	return errors.Join(errs...)
}

// document is what a catalog file holds.
type document struct {
	Name      string                     `json:"name"`
	Object    string                     `json:"object"`
	Function  string                     `json:"function"`
	Priority  *int                       `json:"priority"`
	ProceedOn *chain.ActionSet           `json:"proceedOn"`
	Globals   map[string]json.RawMessage `json:"globals"`
	Settable  map[string]Setting         `json:"settable"`
	Transmits *bool                      `json:"transmits"`
}

// refused are the fields that somebody may expect in an entry.
var refused = map[string]string{
	"image": "programs from OCI images are not in this version of xdp-chain; use object with a file's path",
	"maps":  "an entry sets no maps; a network's configuration does, in programs[].maps",
	"side":  "an entry has no side; a network's configuration gives it",
}

// decode reads the text of a catalog file. Errors are [strict.Faults] with lines.
func decode(text []byte, path string) (Entry, error) {
	raw, lines, err := strict.YAML(text)
	if err != nil {
		return Entry{}, err
	}
	if string(raw) == "null" {
		return Entry{}, strict.Faults{{Line: 1, Text: "the file is empty; an entry has at least a name"}}
	}
	var d document
	if err := strict.JSON(raw, &d, strict.Options{Document: "the entry", Refused: refused, Lists: config.Lists}); err != nil {
		return Entry{}, lines.Locate(err)
	}
	if err := d.faults().Err(); err != nil {
		return Entry{}, lines.Locate(err)
	}
	return d.entry(path)
}

// faults returns what is wrong with the values of a document whose types are right.
func (d *document) faults() strict.Faults {
	if err := chain.CheckName(d.Name); err != nil {
		return strict.Faults{strict.Faultf("name", "%v", err)}
	}
	var faults strict.Faults
	if d.Object == "" && !slices.Contains(Builtins(), d.Name) {
		faults = append(faults, strict.Faultf("object", "it is missing, and %q is no built-in program; give the absolute path of an object", d.Name))
	}
	if d.Object != "" && !filepath.IsAbs(d.Object) {
		faults = append(faults, strict.Faultf("object", "%s is not an absolute path", strict.Quoted(d.Object)))
	}
	if d.Priority != nil && (*d.Priority < 0 || *d.Priority > chain.MaxPriority) {
		faults = append(faults, strict.Faultf("priority", "%d; it goes from 0 (first) to %d", *d.Priority, chain.MaxPriority))
	}
	return faults
}

// entry returns the entry of a document without faults. One without an object changes
// the defaults of the built-in of its name: what it does not mention stays.
func (d *document) entry(path string) (Entry, error) {
	e := Entry{Name: d.Name, Object: d.Object, Origin: d.Object}
	if d.Object == "" {
		var err error
		if e, err = Builtin(d.Name); err != nil {
			return Entry{}, err
		}
	}
	e.File = path
	d.applyTo(&e)
	return e, nil
}

// applyTo puts what the document mentions over an entry.
func (d *document) applyTo(e *Entry) {
	if d.Function != "" {
		e.Function = d.Function
	}
	if d.Priority != nil {
		e.Priority = d.Priority
	}
	if d.ProceedOn != nil {
		e.ProceedOn = d.ProceedOn
	}
	if e.Globals == nil {
		e.Globals = d.Globals
	} else {
		maps.Copy(e.Globals, d.Globals)
	}
	// Settable is a policy: a file that has one says all of it.
	if d.Settable != nil {
		e.Settable = d.Settable
	}
	if d.Transmits != nil {
		e.Transmits = *d.Transmits
	}
}
