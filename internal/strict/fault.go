// SPDX-License-Identifier: Apache-2.0

package strict

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a document.
type Fault struct {
	// Path is the place, such as programs[1].priority. Empty: the whole document.
	Path string
	// Line is the line of the text, from 1 on; 0 where it is not known.
	Line int
	// Text says what is wrong, and what would be right.
	Text string
}

// Faultf returns a fault at a path.
func Faultf(path, format string, args ...any) Fault {
	return Fault{Path: path, Text: fmt.Sprintf(format, args...)}
}

// Field returns a fault of the field key of what stands at path.
func Field(path, key, text string) Fault {
	return Fault{Path: join(path, key), Text: text}
}

// String returns "path: text", and of a path that is very long the beginning.
func (f Fault) String() string {
	if f.Path == "" {
		return f.Text
	}
	path, more := cut(f.Path, longestPath)
	return path + more + ": " + f.Text
}

// Below returns the fault as one of a document in which this one stands at path.
func (f Fault) Below(path string) Fault {
	switch {
	case f.Path == "":
		f.Path = path
	case path != "" && !strings.HasPrefix(f.Path, "["):
		f.Path = path + "." + f.Path
	default:
		f.Path = path + f.Path
	}
	return f
}

// Faults is everything that is wrong with a document, in the order in which it is to be
// told. As an error it is never empty.
type Faults []Fault

// Error returns a sentence a line.
func (f Faults) Error() string { return strings.Join(f.Strings(), "\n") }

// Strings returns the sentences.
func (f Faults) Strings() []string {
	list := make([]string, len(f))
	for i := range f {
		list[i] = f[i].String()
	}
	return list
}

// Err returns the faults as an error, nil if there are none.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
