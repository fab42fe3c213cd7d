// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
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
