// SPDX-License-Identifier: Apache-2.0

package strict

import (
	"cmp"
	"errors"
	"slices"
	"strings"
)

// Lines says on which line of a text, from 1 on, the value of each path begins.
type Lines map[string]int

// Of returns the line of a path, or of the nearest one above it that is there.
func (l Lines) Of(path string) int {
	for {
		if line, ok := l[path]; ok || path == "" {
			return line
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// Locate returns an error with the lines of its faults, in their order. Other errors
// stay as they are.
func (l Lines) Locate(err error) error {
	found, ok := errors.AsType[Faults](err)
	if !ok {
		return err
	}
	located := make(Faults, len(found))
	for i, f := range found {
		f.Line = l.Of(f.Path)
		located[i] = f
	}
	slices.SortStableFunc(located, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	return located
}
