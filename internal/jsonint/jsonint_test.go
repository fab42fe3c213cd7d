// SPDX-License-Identifier: Apache-2.0

package jsonint

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ value, want string }{
		{`0`, "0"},
		{`-0`, "0"},
		{` 12 `, "12"},
		{`-5`, "-5"},
		{`18446744073709551616`, `"18446744073709551616"`},
		{`"12"`, "12"},
		{`"-0x1"`, "-1"},
		{`"0xfF"`, "255"},
		{`"\u0031"`, "1"},
		{`9007199254740991`, "9007199254740991"},
		{`"0x20000000000000"`, `"9007199254740992"`},
		{`-9007199254740992`, `"-9007199254740992"`},
		{`"` + strings.Repeat("9", 41) + `"`, `"` + strings.Repeat("9", 41) + `"`},
	} {
		n, ok := Parse(json.RawMessage(tt.value))
		if !ok {
			t.Errorf("%s is none", tt.value)
			continue
		}
		written := JSON(n)
		if string(written) != tt.want {
			t.Errorf("%s is written as %s, want %s", tt.value, written, tt.want)
		}
		if again, ok := Parse(written); !ok || again.Cmp(n) != 0 {
			t.Errorf("%s is read as %v, want %v", written, again, n)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, value := range []string{
		``, `-`, `1.0`, `1e3`, `1.5`, `true`, `null`, `[1]`, `{}`,
		`""`, `" 1"`, `"1 "`, `"+1"`, `"010"`, `"-01"`, `"1_000"`, `"0b1"`, `"0o7"`, `"0x"`, `"0X1"`, `"--1"`, `"0x-1"`, `"1e3"`, `"١"`, `"1`,
		`"` + strings.Repeat("9", 42) + `"`,
	} {
		if n, ok := Parse(json.RawMessage(value)); ok {
			t.Errorf("%s is taken for %v", value, n)
		}
	}
}
