// SPDX-License-Identifier: Apache-2.0

// Package render makes what xdpctl shows: for people tables whose columns are aligned,
// colours, and sentences that are wrapped between words, as far as a terminal has room; for
// programs values as JSON or YAML.
//
// Interfaces are named by whoever may do so in their namespace, pods included: what stands
// in a table or a sentence has no control characters left.
package render

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Table is rows of cells in aligned columns.
type Table struct {
	columns []Column
	rows    [][]Cell
	indent  string
}

// Column is what a table has in each row.
type Column struct {
	title  string
	traits Trait
}

// Trait is a set of what is particular about a column.
type Trait uint8

// The traits of columns.
const (
	Right Trait = 1 << iota // for numbers: aligned to the right
	Wide                    // shown on a screen alone that is [Screen.Wide]
	Cut                     // may be cut where the line is wider than the screen
)

// Col is a column with a title.
func Col(title string, traits ...Trait) Column {
	c := Column{title: title}
	for _, t := range traits {
		c.traits |= t
	}
	return c
}

func (c Column) has(t Trait) bool { return c.traits&t != 0 }

// Cell is what stands in a row.
type Cell struct {
	text   string
	colour Colour
}

const (
	// Gap is how many blanks stand between columns.
	Gap = 2

	leastColumn = 8 // columns are not cut below it
)

// New makes a table without rows, of which each line begins with indent.
func New(indent string, columns ...Column) *Table {
	return &Table{columns: columns, indent: indent}
}

// Add adds a row with a value for each column, those that may not be shown included. A
// value that is a [Cell] may have a colour. The last of fewer values than there are
// columns may be longer than its column is wide.
func (t *Table) Add(values ...any) {
	row := make([]Cell, len(values))
	for i, value := range values {
		c, ok := value.(Cell)
		if !ok {
			c = Cell{text: fmt.Sprint(value)}
		}
		row[i] = Cell{Printable(c.text), c.colour}
	}
	t.rows = append(t.rows, row)
}

// Text returns the header and the rows.
func (t *Table) Text(s Screen) string { return strings.Join(t.Lines(s), "") }

// Lines returns the header and a line for each row, each with its newline.
func (t *Table) Lines(s Screen) []string {
	header := make([]Cell, len(t.columns))
	for i, c := range t.columns {
		header[i] = Cell{text: c.title}
	}
	rows := append([][]Cell{header}, t.rows...)
	widths := t.widths(rows, s)
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = t.line(row, widths, s)
	}
	return lines
}

// widths returns how wide each column is; below 0 is one that is not shown.
func (t *Table) widths(rows [][]Cell, s Screen) []int {
	widths := make([]int, len(t.columns))
	total := len(t.indent) - Gap
	for i, c := range t.columns {
		if c.has(Wide) && !s.Wide {
			widths[i] = -1
			continue
		}
		for _, row := range rows {
			if i < len(row) && !t.runsOn(row, i) {
				widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
			}
		}
		total += widths[i] + Gap
	}
	if s.Width > 0 {
		t.fit(widths, total-s.Width)
	}
	return widths
}

// runsOn tells whether a row ends with a cell before the last column.
func (t *Table) runsOn(row []Cell, i int) bool {
	return i == len(row)-1 && len(row) < len(t.columns)
}

// fit takes what is too much from the columns that may be cut, of the widest first.
func (t *Table) fit(widths []int, excess int) {
	for ; excess > 0; excess-- {
		widest := -1
		for i, c := range t.columns {
			if c.has(Cut) && widths[i] > max(leastColumn, len(c.title)) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return // the terminal wraps it
		}
		widths[widest]--
	}
}

func (t *Table) line(row []Cell, widths []int, s Screen) string {
	var line strings.Builder
	line.WriteString(t.indent)
	blanks := 0 // due before the next text, so that none are left at the end
	for i, c := range row {
		if widths[i] < 0 {
			continue
		}
		text := c.text
		if !t.runsOn(row, i) {
			text = shorten(text, widths[i])
		}
		padding := max(widths[i]-utf8.RuneCountInString(text), 0)
		if text != "" {
			if t.columns[i].has(Right) {
				blanks, padding = blanks+padding, 0
			}
			line.WriteString(strings.Repeat(" ", blanks))
			line.WriteString(s.Paint(c.colour, text))
			blanks = 0
		}
		blanks += padding + Gap
	}
	line.WriteString("\n")
	return line.String()
}

func shorten(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}

// Printable escapes what would do something to a terminal: a pod may name its
// interfaces as it likes.
func Printable(text string) string {
	unsafe := func(r rune) bool { return !unicode.IsPrint(r) }
	if !slices.ContainsFunc([]rune(text), unsafe) {
		return text
	}
	return strings.Trim(fmt.Sprintf("%+q", text), `"`)
}
