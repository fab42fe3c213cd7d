// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"regexp"
)

// lineWriter passes on whole lines, each with a prefix and by one Write, so that the
// outputs of several guests do not mix within a line.
type lineWriter struct {
	prefix string
	to     io.Writer
	rest   []byte // of a line that has not ended
}

// Write implements io.Writer.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		end := bytes.IndexByte(w.rest, '\n')
		if end < 0 {
			return len(p), nil
		}
		line := append([]byte(w.prefix), w.rest[:end+1]...)
		w.rest = w.rest[end+1:]
		if _, err := w.to.Write(line); err != nil {
			return len(p), err
		}
	}
}

// flush ends a line that was not ended.
func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		_, _ = w.Write([]byte("\n")) // where it is printed, an error of it cannot be
	}
}

// failureLines is how many of its first lines are kept of what a suite prints: a test
// that fails says at once why.
const failureLines = 60

// stepEnd is the line in which a guest tells how a suite ended.
var stepEnd = regexp.MustCompile(`^(ok|FAIL) +[^ ]+\t[0-9.]+s\n`)

// failures keeps what the suites print that fail, to be printed once more at the end,
// when the lines of other guests have come between and much has scrolled by.
type failures struct {
	prefix string   // of each line
	suite  [][]byte // lines of the one that runs
	kept   []byte
}

// Write implements io.Writer for one whole line.
func (f *failures) Write(line []byte) (int, error) {
	if len(f.suite) < failureLines {
		f.suite = append(f.suite, bytes.Clone(line))
	}
	end := stepEnd.FindSubmatch(bytes.TrimPrefix(line, []byte(f.prefix)))
	if end == nil {
		return len(line), nil
	}
	if string(end[1]) == "FAIL" {
		f.kept = append(f.kept, bytes.Join(f.suite, nil)...)
	}
	f.suite = nil
	return len(line), nil
}
