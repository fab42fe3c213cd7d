// SPDX-License-Identifier: Apache-2.0

// Package render makes what xdpctl shows: for people tables whose columns are aligned,
// colours, and sentences that are wrapped between words, as far as a terminal has room; for
// programs values as JSON or YAML.
//
// Interfaces are named by whoever may do so in their namespace, pods included: what stands
// in a table or a sentence has no control characters left.
package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"
)

// Table is rows of cells in aligned columns, with other text between them.
type Table struct {
	columns []Column
	rows    []row
	indent  string
}

// row is a line of cells or, without any, lines of text.
type row struct {
	cells []Cell
	text  string
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

// Gap is how many blanks stand between columns.
const Gap = 2

// New makes a table without rows, of which each line begins with indent.
func New(indent string, columns ...Column) *Table {
	return &Table{columns: columns, indent: indent}
}

// Add adds a row with a value for each column, those that may not be shown included. A
// value that is a [Cell] may have a colour. The last of fewer values than there are
// columns may be longer than its column is wide.
func (t *Table) Add(values ...any) {
	cells := make([]Cell, len(values))
	for i, value := range values {
		c, ok := value.(Cell)
		if !ok {
			c = Cell{text: fmt.Sprint(value)}
		}
		cells[i] = Cell{Printable(c.text), c.colour}
	}
	t.rows = append(t.rows, row{cells: cells})
}

// AddText adds lines, each with its newline, that stand below the last row as they are.
func (t *Table) AddText(lines string) { t.rows = append(t.rows, row{text: lines}) }

// Text returns the header and the rows.
func (t *Table) Text(s Screen) string { return strings.Join(t.Lines(s), "") }

// Lines returns the header, a line for each row, with its newline, and each text.
func (t *Table) Lines(s Screen) []string {
	header := make([]Cell, len(t.columns))
	for i, c := range t.columns {
		header[i] = Cell{text: c.title}
	}
	rows := append([]row{{cells: header}}, t.rows...)
	widths := t.widths(rows, s)
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = r.text
		if r.cells != nil {
			lines[i] = t.line(r.cells, widths, s)
		}
	}
	return lines
}

// widths returns how wide each column is; below 0 is one that is not shown.
func (t *Table) widths(rows []row, s Screen) []int {
	widths := make([]int, len(t.columns))
	total := len(t.indent) - Gap
	for i, c := range t.columns {
		if c.has(Wide) && !s.Wide {
			widths[i] = -1
			continue
		}
		for _, r := range rows {
			if i < len(r.cells) && !t.runsOn(r.cells, i) {
				widths[i] = max(widths[i], utf8.RuneCountInString(r.cells[i].text))
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
	const leastColumn = 8 // columns are not cut below it
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

// Screen is what fits where something is printed. The zero value is that of a file.
type Screen struct {
	// Width is the terminal's, in columns; 0 is as wide as it takes.
	Width int
	// Colour tells whether colours are shown.
	Colour bool
	// Wide has all columns of a table.
	Wide bool
}

// ScreenOf finds out what w takes: colours are for terminals whose user wants them
// (no-color.org), and only a terminal's width limits a table that is not asked for wide.
func ScreenOf(w io.Writer, wide bool) Screen {
	s := Screen{Wide: wide}
	if !IsTerminal(w) {
		return s
	}
	s.Colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if size, err := unix.IoctlGetWinsize(int(w.(*os.File).Fd()), unix.TIOCGWINSZ); err == nil && !wide {
		s.Width = int(size.Col)
	}
	return s
}

// IsTerminal tells whether a writer is a terminal's file.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// Colour is an SGR parameter of ECMA-48; 0 is none.
type Colour int

// The colours there are.
const (
	Red    Colour = 31 // what fails, or drops
	Green  Colour = 32 // what is well
	Yellow Colour = 33 // warnings
)

// Of is a cell in a colour.
func (c Colour) Of(value any) Cell { return Cell{fmt.Sprint(value), c} }

// Paint returns a text in a colour, where the screen shows some.
func (s Screen) Paint(c Colour, text string) string {
	if c == 0 || !s.Colour {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", int(c), text)
}

// Note is a sentence below the line of a table that it is about.
func (s Screen) Note(sentence string) string { return "  " + s.Wrap(sentence, 2, 4) }

// Wrap returns a text that begins in column at, from 0, in lines that are wrapped between
// words where a terminal has no room for the next one. All but the first are indented.
func (s Screen) Wrap(text string, at, indent int) string {
	var out strings.Builder
	for i, word := range strings.Fields(Printable(text)) {
		length := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case s.Width > 0 && at+1+length > s.Width:
			out.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			out.WriteString(" ")
			at++
		}
		out.WriteString(word)
		at += length
	}
	out.WriteString("\n")
	return out.String()
}

// Lines returns the lines of an error that say something; none of nil.
func Lines(err error) []string {
	if err == nil {
		return nil
	}
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// InOneLine returns the lines of an error with semicolons between them.
func InOneLine(err error) string { return strings.Join(Lines(err), "; ") }

// InEachLine puts a place in front of every line of an error; nil of nil.
func InEachLine(place string, err error) error {
	var errs []error
	for _, line := range Lines(err) {
		errs = append(errs, fmt.Errorf("%s: %s", place, line))
	}
	return errors.Join(errs...)
}

// Value writes a value as JSON, or as YAML with the same fields in the same order.
func Value(w io.Writer, value any, asYAML bool) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	if err == nil && asYAML {
		err = makeYAML(&text)
	}
	if err == nil {
		_, err = w.Write(text.Bytes())
	}
	return err
}

// makeYAML makes YAML in its usual style of JSON, which is YAML too.
func makeYAML(text *bytes.Buffer) error {
	var document yaml.Node
	if err := yaml.Unmarshal(text.Bytes(), &document); err != nil {
		return err
	}
	inBlocks(&document)
	text.Reset()
	enc := yaml.NewEncoder(text)
	enc.SetIndent(2)
	if err := enc.Encode(&document); err != nil {
		return err
	}
	return enc.Close()
}

// inBlocks forgets braces and quotes. The encoder quotes what would be no string of YAML
// 1.2 otherwise, and has no other way to write what is empty.
func inBlocks(n *yaml.Node) {
	if n.Tag != "!!str" || !misread(n.Value) {
		n.Style = 0
	}
	for _, child := range n.Content {
		inBlocks(child)
	}
}

// misread tells whether readers of YAML 1.1 take a string for something else: a truth value
// (yaml.org/type/bool.html), or a number to the base of 60 (yaml.org/type/int.html).
func misread(text string) bool {
	switch strings.ToLower(text) {
	case "y", "n", "yes", "no", "on", "off":
		return true
	}
	return strings.Contains(text, ":") && strings.Trim(text, "0123456789:+-_.") == ""
}
