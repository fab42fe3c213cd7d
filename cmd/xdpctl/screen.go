// SPDX-License-Identifier: Apache-2.0

package main

import "io"

// screen is where successive frames go: one over the other on a terminal, one
// after the other elsewhere.
type screen struct {
	io.Writer
	terminal bool
}

func newScreen(w io.Writer) screen {
	_, is := terminal(w)
	return screen{w, is}
}

// frame returns where the next frame is to be written.
func (s screen) frame() io.Writer {
	if s.terminal {
		// Cursor home, erase to the end (ECMA-48 CUP and ED). A failing write
		// shows at the frame's own.
		_, _ = io.WriteString(s, "\x1b[H\x1b[J")
	}
	return s.Writer
}
