// SPDX-License-Identifier: Apache-2.0

package strict

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
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

const (
	// longest is how much of a text stands in a message, in bytes.
	longest = 40
	// longestPath is how much of a path does: values lie in each other under long names.
	longestPath = 200
)

// Shown returns the beginning of a JSON value as a message can have it: in ASCII, in
// which letters that look alike do not.
func Shown(value []byte) string {
	text, more := cut(string(value), longest)
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf && strconv.IsPrint(r):
			b.WriteRune(r)
		case r == '\n' || r == '\t' || r == '\r':
			b.WriteByte(' ')
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String() + more
}

// Quoted returns the beginning of a text in quotes, as %+q prints it.
func Quoted(text string) string {
	text, more := cut(text, longest)
	return strconv.QuoteToASCII(text) + more
}

// cut returns the beginning of a text, at most limit bytes of whole characters, and an
// ellipsis if there is more.
func cut(text string, limit int) (beginning, more string) {
	if len(text) <= limit {
		return text, ""
	}
	return strings.ToValidUTF8(text[:limit], ""), "…"
}

// join returns the path of a field. A name that is not of the plain kind is quoted.
func join(path, key string) string {
	switch {
	case !plain(key):
		return fmt.Sprintf("%s[%s]", path, Quoted(key))
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

func plain(key string) bool {
	for _, r := range key {
		if r <= ' ' || r > '~' || strings.ContainsRune(`"[]`, r) {
			return false
		}
	}
	return key != "" && len(key) <= 2*longest
}
