// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"regexp"
)

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
