// SPDX-License-Identifier: Apache-2.0

// Package report is what the benchmark prints: sections of figures, as a table and as
// JSON, with the machine that they come from.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is a whole run. Its JSON form is for comparing runs: figures keep their
// names.
type Report struct {
	Machine  Machine    `json:"machine"`
	Sections []*Section `json:"sections"`
}

// Section is the figures of one kind of measurement.
type Section struct {
	Name    string    `json:"name"`
	Title   string    `json:"title"`
	Figures []*Figure `json:"figures"`
}

// Figure is one line of the report.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"` // ms, ns, KiB, Gbit/s, packets, objects, files; x: a ratio

	// Times is how many times the figure named Of this one is.
	Times float64 `json:"times,omitempty"`
	Of    string  `json:"of,omitempty"`

	// MiddleHalf is between what two values the middle half of the single rounds lies,
	// for a ratio of medians over some rounds.
	MiddleHalf *[2]float64 `json:"middleHalf,omitempty"`

	// AtMost is what the value must reach, and Met whether it does.
	AtMost *float64 `json:"atMost,omitempty"`
	Met    *bool    `json:"met,omitempty"`
}

// Add appends a figure, which the caller may go on to set in relation.
func (s *Section) Add(name string, value float64, unit string) *Figure {
	f := &Figure{Name: name, Value: value, Unit: unit}
	s.Figures = append(s.Figures, f)
	return f
}

// Against sets the figure in relation to one that was measured with it.
func (f *Figure) Against(base *Figure) {
	if base.Value != 0 {
		f.Times, f.Of = f.Value/base.Value, base.Name
	}
}

// Ratio appends how many times what one thing takes another one does: of the medians, and
// of the rounds. Samples of the same index are of the same round; there must be some.
func (s *Section) Ratio(name string, of, to Samples) {
	var rounds []float64
	for i := range min(len(of), len(to)) {
		rounds = append(rounds, float64(of[i])/float64(to[i]))
	}
	slices.Sort(rounds)
	n := len(rounds)
	f := s.Add(name, float64(of.Median())/float64(to.Median()), "x")
	f.MiddleHalf = &[2]float64{rounds[n/4], rounds[n-1-n/4]}
}

// Target sets what the figure must not be above, in its unit.
func (f *Figure) Target(limit float64) {
	met := f.Value <= limit
	f.AtMost, f.Met = &limit, &met
}

// WriteJSON prints the report for another program to compare with.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// WriteTable prints the report for people.
func (r *Report) WriteTable(w io.Writer) error {
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

func (f *Figure) amount() string {
	switch f.Unit {
	case "packets", "objects", "files":
		return fmt.Sprintf("%11.0f %s", f.Value, f.Unit)
	case "KiB":
		return fmt.Sprintf("%11.1f %s", f.Value, f.Unit)
	}
	return fmt.Sprintf("%11.2f %s", f.Value, f.Unit)
}

func (f *Figure) relation() string {
	switch {
	case f.MiddleHalf != nil:
		return fmt.Sprintf("middle half of the rounds: %.2f to %.2f", f.MiddleHalf[0], f.MiddleHalf[1])
	case f.Of != "":
		return fmt.Sprintf("%.2f x %s", f.Times, f.Of)
	}
	return ""
}

func (f *Figure) verdict() string {
	switch {
	case f.AtMost == nil:
		return ""
	case *f.Met:
		return fmt.Sprintf("at most %g %s: met", *f.AtMost, f.Unit)
	}
	return fmt.Sprintf("at most %g %s: MISSED", *f.AtMost, f.Unit)
}

// Samples are the durations of one thing that was done again and again.
type Samples []time.Duration

// Median returns the middle sample, the mean of the two middle ones of an even
// number, and 0 of none.
func (s Samples) Median() time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Least returns the smallest sample; there must be one.
func (s Samples) Least() time.Duration { return slices.Min(s) }

// Milliseconds is a duration as figures have it.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
