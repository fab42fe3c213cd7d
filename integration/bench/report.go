// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// report is a whole run. Its JSON form is for comparing runs: figures keep their
// names.
type report struct {
	Machine  machine    `json:"machine"`
	Sections []*section `json:"sections"`
}

// section is the figures of one kind of measurement.
type section struct {
	Name    string    `json:"name"`
	Title   string    `json:"title"`
	Figures []*figure `json:"figures"`
}

// figure is one line of the report.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"` // ms, ns, KiB, Gbit/s, packets, objects, files; x: a ratio

	// Times is how many times the figure named Of this one is.
	Times float64 `json:"times,omitempty"`
	Of    string  `json:"of,omitempty"`

	// AtMost is what the value must reach, and Met whether it does.
	AtMost *float64 `json:"atMost,omitempty"`
	Met    *bool    `json:"met,omitempty"`
}

// add appends a figure.
func (s *section) add(name string, value float64, unit string) *figure {
	f := &figure{Name: name, Value: value, Unit: unit}
	s.Figures = append(s.Figures, f)
	return f
}

// against sets the figure in relation to one that was measured with it.
func (f *figure) against(base *figure) {
	if base.Value != 0 {
		f.Times, f.Of = f.Value/base.Value, base.Name
	}
}

// atMost sets the figure's target.
func (f *figure) atMost(limit float64) {
	met := f.Value <= limit
	f.AtMost, f.Met = &limit, &met
}

func (r *report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func (r *report) writeTable(w io.Writer) error {
	m := r.Machine
	fmt.Fprintf(w, "Linux %s, %d CPUs (%s), load %s at the start\nreturns of functions: %s\n", m.Kernel, m.CPUs, m.CPU, m.Load, m.Returns)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range r.Sections {
		fmt.Fprintf(table, "\n%s\n", s.Title)
		for _, f := range s.Figures {
			fmt.Fprintln(table, strings.TrimRight("  "+f.Name+"\t"+f.amount()+"\t"+f.relation()+"\t"+f.verdict(), "\t"))
		}
	}
	return table.Flush()
}

func (f *figure) amount() string {
	switch f.Unit {
	case "packets", "objects", "files":
		return fmt.Sprintf("%11.0f %s", f.Value, f.Unit)
	case "KiB":
		return fmt.Sprintf("%11.1f %s", f.Value, f.Unit)
	}
	return fmt.Sprintf("%11.2f %s", f.Value, f.Unit)
}

func (f *figure) relation() string {
	if f.Of == "" {
		return ""
	}
	return fmt.Sprintf("%.2f x %s", f.Times, f.Of)
}

func (f *figure) verdict() string {
	switch {
	case f.AtMost == nil:
		return ""
	case *f.Met:
		return fmt.Sprintf("at most %g %s: met", *f.AtMost, f.Unit)
	}
	return fmt.Sprintf("at most %g %s: MISSED", *f.AtMost, f.Unit)
}
