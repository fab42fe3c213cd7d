// SPDX-License-Identifier: Apache-2.0

package strict

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestYAML(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "null"},
		{"# nothing\n", "null"},
		{"---\n", "null"},
		{"~", "null"},
		{"a, b", `"a, b"`},
		{"a,\n  b\n", `"a, b"`},
		{"x: 1\ny: [a, 'b', \"\\u0063\"]\nz: {}\n", `{"x":1,"y":["a","b","c"],"z":{}}`},
		{"x: |\n  one\n  two\n", `{"x":"one\ntwo\n"}`},
		{"- true\n- False\n- yes\n- null\n-\n", `[true,false,"yes",null,null]`},
		{"- 18446744073709551616\n- -5\n- 1.50\n- 1e3\n- 0x1F\n- \"010\"\n", `[18446744073709551616,-5,1.50,1e3,31,"010"]`},
		{"- 2026-01-02\n- 1.2.3\n- 10.0.0.0/8\n- <a&b>\n", `["2026-01-02","1.2.3","10.0.0.0/8","<a&b>"]`},
		{"\ufeffx: 1", `{"x":1}`},
		{"{\n\t\"x\": [1,\n\t\t2],\n\t\"y\": \"a\\tb\"\n}\n", `{"x":[1,2],"y":"a\tb"}`},
		{`{"<<x": 1, "y": "\u0001"}`, `{"<<x":1,"y":"\u0001"}`},
		{"{a: 1, b: }", `{"a":1,"b":null}`},
	} {
		got, _, err := YAML([]byte(tt.text))
		if err != nil || string(got) != tt.want {
			t.Errorf("%q is %s, %v; want %s", tt.text, got, err, tt.want)
		}
	}
}

func TestYAMLRefuses(t *testing.T) {
	deep := strings.Repeat("[", 17) + strings.Repeat("]", 17)
	for _, tt := range []struct {
		text string
		want Fault
	}{
		{"x: [1,", Fault{Line: 1, Text: "not YAML: did not find expected node content"}},
		{"x: 1\ny: [1\nz: 2]\nw: 3\n", Fault{Line: 2, Text: "not YAML: did not find expected ',' or ']'"}},
		{"x: 1\ny: 2\n- z\n", Fault{Line: 3, Text: "not YAML: did not find expected key"}},
		{"x: 1\ny: {a: 1, b", Fault{Line: 2, Text: "not YAML: did not find expected ',' or '}'"}},
		{"x: 1\ny:\n- 1\nb\n", Fault{Line: 4, Text: "not YAML: could not find expected ':'"}},
		{"x: 1\ny: 'abc\n", Fault{Line: 2, Text: "not YAML: found unexpected end of stream"}},
		{"x: 1\n  y: 2\n", Fault{Line: 2, Text: "not YAML: mapping values are not allowed in this context"}},
		{"x: 1\n\ty: 2\n", Fault{Line: 2, Text: "not YAML: found a tab character"}},
		{"x: \x00", Fault{Line: 1, Text: "not YAML: control characters are not allowed"}},
		{"x: \xff", Fault{Line: 1, Text: "the text is not UTF-8"}},
		{"\xff\xfex\x00", Fault{Line: 1, Text: "the text is not UTF-8"}},
		{"x: 1\n---\ny: 2\n", Fault{Line: 2, Text: "a second document begins"}},
		{"x: 1\n---\n", Fault{Line: 2, Text: "a second document begins"}},
		{"x: 1\n...\n@", Fault{Line: 3, Text: "not YAML: "}},
		{"x: &a 1\ny: *a\n", Fault{Path: "x", Line: 1, Text: "anchors (&a) are not taken"}},
		{"x: 1\ny: *a\n", Fault{Line: 1, Text: "an alias of no anchor, and aliases are not taken; write the value out"}},
		{"x: {a: 1}\ny:\n  <<: {b: 2}\n", Fault{Path: "y", Line: 3, Text: "merge keys (<<) are not taken"}},
		{"x: !!str 1", Fault{Path: "x", Line: 1, Text: "tags (!!str) are not taken"}},
		{"x: !mine [1]", Fault{Path: "x", Line: 1, Text: "tags (!mine) are not taken"}},
		{"x: !!binary aGVsbG8=", Fault{Path: "x", Line: 1, Text: "tags (!!binary) are not taken"}},
		{"x: 1\ny: 2\nx: 3\n", Fault{Path: "x", Line: 3, Text: "the field is there twice, first on line 1"}},
		{`[{"x": 1, "x": 2}]`, Fault{Path: "[0].x", Line: 1, Text: "the field is there twice"}},
		{"a:\n  1: x\n", Fault{Path: "a", Line: 2, Text: "a field's name is 1, which is no string; quote it"}},
		{"true: x", Fault{Line: 1, Text: "a field's name is true, which is no string"}},
		{"~: x", Fault{Line: 1, Text: "a field's name is ~, which is no string"}},
		{"? [a]\n: x\n", Fault{Line: 1, Text: "a field's name is a list or an object"}},
		{"!!str a: x", Fault{Line: 1, Text: "a field's name has an alias, an anchor or a tag"}},
		{"x: .inf", Fault{Path: "x", Line: 1, Text: ".inf is no number of JSON"}},
		{"x: .NaN", Fault{Path: "x", Line: 1, Text: ".NaN is no number of JSON"}},
		{"x: 010", Fault{Path: "x", Line: 1, Text: "010 is no number of JSON; write decimal digits without leading zeros"}},
		{"x: 0o17", Fault{Path: "x", Line: 1, Text: "0o17 is no number of JSON"}},
		{"x: 0b11", Fault{Path: "x", Line: 1, Text: "0b11 is no number of JSON"}},
		{"x: 1_000", Fault{Path: "x", Line: 1, Text: "1_000 is no number of JSON"}},
		{"x: +1", Fault{Path: "x", Line: 1, Text: "+1 is no number of JSON"}},
		{"x: .5", Fault{Path: "x", Line: 1, Text: ".5 is no number of JSON"}},
		{deep, Fault{Path: strings.Repeat("[0]", 16), Line: 1, Text: "more than 16 values lie in each other"}},
		{`{"x": "\ud83d"}`, Fault{Line: 1, Text: "not YAML: "}},
	} {
		_, _, err := YAML([]byte(tt.text))
		faults, ok := errors.AsType[Faults](err)
		if !ok || faults[0].Path != tt.want.Path || faults[0].Line != tt.want.Line || !strings.HasPrefix(faults[0].Text, tt.want.Text) {
			t.Errorf("%q: %#v, want %#v", tt.text, faults, tt.want)
		}
	}
}

// Ten lists of ten aliases in each other stand for ten thousand million values.
func TestYAMLExpandsNoAliases(t *testing.T) {
	var text strings.Builder
	text.WriteString("a0: &a0 x\n")
	for i := range 10 {
		fmt.Fprintf(&text, "a%d: &a%[1]d [%s]\n", i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	_, _, err := YAML([]byte(text.String()))
	faults, ok := errors.AsType[Faults](err)
	if !ok || faults[0].Path != "a0" || len(faults) > 11 {
		t.Errorf("%v", err)
	}
}

func TestLines(t *testing.T) {
	_, lines, err := YAML([]byte("name: x\nlist:\n  - a\n  - k:\n      1.5\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Lines{"": 1, "name": 1, "list": 3, "list[0]": 3, "list[1]": 4, "list[1].k": 5}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for path, want := range map[string]int{"name": 1, "list[1].k": 5, "list[1].missing": 4, "list[7].k.l": 3, "nothing": 1, "nothing.at.all": 1} {
		if got := lines.Of(path); got != want {
			t.Errorf("%s is on line %d, want %d", path, got, want)
		}
	}
	located := lines.Locate(Faults{Faultf("list[1].k", "wrong"), Faultf("x", "unknown")})
	if diff := cmp.Diff(Faults{{Path: "x", Line: 1, Text: "unknown"}, {Path: "list[1].k", Line: 5, Text: "wrong"}}, located); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := lines.Locate(nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}

// What YAML accepts is JSON, and JSON that it accepts keeps its meaning.
func FuzzYAML(f *testing.F) {
	for _, text := range []string{"a, b", "- a: 1\n  b: {c: [0x10, ~]}\n", "x: &a [*a]", "{\"a\": \"\\u00e9\", \"b\": 1e3}", "<<: 1", "\t{\n\t}", "? a\n: b", "--- a\n--- b"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		document, lines, err := YAML(text)
		if err != nil {
			faults, ok := errors.AsType[Faults](err)
			if !ok || faults[0].Line < 1 || faults[0].Text == "" {
				t.Fatalf("error %#v", err)
			}
			return
		}
		var got, want any
		if err := json.Unmarshal(document, &got); err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		if lines.Of("") < 1 {
			t.Error("the document has no line")
		}
		if json.Unmarshal(text, &want) == nil {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("JSON changed its meaning (-was +is):\n%s", diff)
			}
		}
	})
}
