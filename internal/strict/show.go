// SPDX-License-Identifier: Apache-2.0

package strict

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

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
