// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"

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
