// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// table is rows of cells in aligned columns.
type table struct {
	columns []column
	rows    [][]cell
	// indent is what stands before each line.
	indent string
}

// column is what a table has in each row.
type column struct {
	title string
	right bool // for numbers: aligned to the right
	wide  bool // only shown with -o wide
	cut   bool // may be cut where the line is wider than the terminal
}

// cell is what stands in a row.
type cell struct {
	text   string
	colour colour
}

// colour is an SGR parameter of ECMA-48; 0 is none.
type colour int

const (
	red    colour = 31 // what fails, or drops
	green  colour = 32 // what is well
	yellow colour = 33 // warnings
)

// of is a cell in a colour.
func (c colour) of(value any) cell { return cell{fmt.Sprint(value), c} }

const (
	columnGap   = 2
	leastColumn = 8 // columns are not cut below it
)

func newTable(columns ...column) *table { return &table{columns: columns} }

// add adds a row with a value for each column, those that may not be shown included. A
// value that is a cell may have a colour.
func (t *table) add(values ...any) {
	row := make([]cell, len(t.columns))
	for i, value := range values {
		c, ok := value.(cell)
		if !ok {
			c = cell{text: fmt.Sprint(value)}
		}
		row[i] = cell{printable(c.text), c.colour}
	}
	t.rows = append(t.rows, row)
}

// print writes the table with its header.
func (t *table) print(p page) error {
	_, err := io.WriteString(p, strings.Join(t.lines(p), ""))
	return err
}

// lines returns the header and a line for each row, each with its newline.
func (t *table) lines(p page) []string {
	header := make([]cell, len(t.columns))
	for i, c := range t.columns {
		header[i] = cell{text: c.title}
	}
	rows := append([][]cell{header}, t.rows...)
	widths := t.widths(rows, p)
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = t.line(row, widths, p.colour)
	}
	return lines
}

// widths returns how wide each column is; below 0 is one that is not shown.
func (t *table) widths(rows [][]cell, p page) []int {
	widths := make([]int, len(t.columns))
	total := len(t.indent) - columnGap
	for i, c := range t.columns {
		if c.wide && !p.wide {
			widths[i] = -1
			continue
		}
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
		}
		total += widths[i] + columnGap
	}
	if p.width > 0 {
		t.fit(widths, total-p.width)
	}
	return widths
}

// fit takes what is too much from the columns that may be cut, of the widest first.
func (t *table) fit(widths []int, excess int) {
	for ; excess > 0; excess-- {
		widest := -1
		for i, c := range t.columns {
			if c.cut && widths[i] > max(leastColumn, len(c.title)) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return // the terminal wraps it
		}
		widths[widest]--
	}
}

func (t *table) line(row []cell, widths []int, coloured bool) string {
	var line strings.Builder
	line.WriteString(t.indent)
	blanks := 0 // due before the next text, so that none are left at the end
	for i, c := range row {
		if widths[i] < 0 {
			continue
		}
		text := shorten(c.text, widths[i])
		padding := widths[i] - utf8.RuneCountInString(text)
		if text != "" {
			if t.columns[i].right {
				blanks, padding = blanks+padding, 0
			}
			line.WriteString(strings.Repeat(" ", blanks))
			line.WriteString(c.colour.paint(text, coloured))
			blanks = 0
		}
		blanks += padding + columnGap
	}
	line.WriteString("\n")
	return line.String()
}

func (c colour) paint(text string, coloured bool) string {
	if c == 0 || !coloured {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", int(c), text)
}

func shorten(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}

// printable escapes what would do something to a terminal: a pod may name its
// interfaces as it likes.
func printable(text string) string {
	unsafe := func(r rune) bool { return !unicode.IsPrint(r) }
	if !slices.ContainsFunc([]rune(text), unsafe) {
		return text
	}
	return strings.Trim(fmt.Sprintf("%+q", text), `"`)
}
