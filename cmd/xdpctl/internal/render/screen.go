// SPDX-License-Identifier: Apache-2.0

package render

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

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

// InEachLine puts a place in front of every line of an error.
func InEachLine(place string, err error) error {
	var errs []error
	for _, line := range Lines(err) {
		errs = append(errs, fmt.Errorf("%s: %s", place, line))
	}
	return errors.Join(errs...)
}
