// SPDX-License-Identifier: Apache-2.0

package strict

import (
	"strings"
	"testing"
)

func TestShown(t *testing.T) {
	for value, want := range map[string]string{
		"":                      "",
		`{"a": [1, true]}`:      `{"a": [1, true]}`,
		`"p` + "\u0430ss" + `"`: `"p\u0430ss"`,
		"\"\u202e\U0001f600\"":  `"\u202e\U0001f600"`,
		"a\nb\tc\rd":            "a b c d",
		"\x00\x1b[2J\x7f":       `\x00\x1b[2J\x7f`,
		"\xff":                  `\ufffd`,
		"'":                     "'",
		strings.Repeat("x", 40): strings.Repeat("x", 40),
		strings.Repeat("x", 41): strings.Repeat("x", 40) + "…",
		// The cut leaves no part of a character.
		strings.Repeat("x", 39) + "ж": strings.Repeat("x", 39) + "…",
	} {
		if got := Shown([]byte(value)); got != want {
			t.Errorf("%+q is shown as %q, want %q", value, got, want)
		}
	}
}

func TestQuoted(t *testing.T) {
	for text, want := range map[string]string{
		"":                      `""`,
		"p\u0430ss\n":           `"p\u0430ss\n"`,
		`a"b`:                   `"a\"b"`,
		strings.Repeat("x", 41): `"` + strings.Repeat("x", 40) + `"…`,
	} {
		if got := Quoted(text); got != want {
			t.Errorf("%+q is quoted as %q, want %q", text, got, want)
		}
	}
}

func TestFaultsPrint(t *testing.T) {
	faults := Faults{{Path: "a.b", Line: 3, Text: "wrong"}, {Text: "worse"}, Field("a[0]", "c", "no"), Field("", "d\n", "no")}
	if got, want := faults.Error(), "a.b: wrong\nworse\na[0].c: no\n[\"d\\n\"]: no"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	long := Fault{Path: strings.Repeat("a", longestPath+1), Text: "no"}
	if got, want := long.String(), strings.Repeat("a", longestPath)+"…: no"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := (Faults{}).Err(); err != nil {
		t.Errorf("no fault is the error %v", err)
	}
	for _, tt := range []struct{ path, below, want string }{
		{"", "", ""}, {"a", "", "a"}, {"", "a", "a"}, {"a", "b", "b.a"}, {"[1]", "b", "b[1]"}, {"[1]", "", "[1]"},
	} {
		if got := (Fault{Path: tt.path}).Below(tt.below).Path; got != tt.want {
			t.Errorf("%q below %q is %q, want %q", tt.path, tt.below, got, tt.want)
		}
	}
}
