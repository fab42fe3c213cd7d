// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// page is where tables are printed, and what fits there.
type page struct {
	io.Writer
	// width is the terminal's, in columns; 0 is as wide as it takes.
	width  int
	colour bool
	// wide has all columns.
	wide bool
}

// newPage finds out what w takes: colours are for terminals whose user wants them
// (no-color.org), and only a terminal's width limits a table that is not asked for wide.
func newPage(w io.Writer, as format) page {
	p := page{Writer: w, wide: as == formatWide}
	file, ok := terminal(w)
	if !ok {
		return p
	}
	p.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ); err == nil && !p.wide {
		p.width = int(size.Col)
	}
	return p
}

// terminal returns the file of a writer that is a terminal.
func terminal(w io.Writer) (*os.File, bool) {
	file, ok := w.(*os.File)
	if !ok {
		return nil, false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return file, err == nil
}

// note is a sentence below the line of a table that it is about. On a terminal it is
// wrapped between words.
func (p page) note(sentence string) string {
	const indent = "  "
	line := indent
	var out strings.Builder
	for _, word := range strings.Fields(printable(sentence)) {
		if p.width > 0 && len(line) > len(indent) && utf8.RuneCountInString(line)+len(word) > p.width {
			out.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent + indent
		}
		line += word + " "
	}
	out.WriteString(strings.TrimRight(line, " ") + "\n")
	return out.String()
}
