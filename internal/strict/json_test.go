// SPDX-License-Identifier: Apache-2.0

package strict

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/enum"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// side is an enumeration.
type side uint8

const hostSide side = 1

var sideNames = enum.Names[side]{What: "side", Invalid: chain.ErrInvalid, List: []string{"pod", "host"}}

func (s *side) UnmarshalText(text []byte) error { return sideNames.Unmarshal(text, s) }

var lists = map[reflect.Type]reflect.Type{reflect.TypeFor[chain.ActionSet](): reflect.TypeFor[[]chain.Action]()}

// inner decodes itself, with faults of its own.
type inner struct {
	Number int `json:"number"`
}

func (i *inner) UnmarshalJSON(document []byte) error {
	type plain inner
	if err := JSON(document, (*plain)(i), Options{}); err != nil {
		return err
	}
	if i.Number == 0 {
		return Faults{Faultf("", "no number"), Faultf("[2].x", "far"), Faultf("number", "is 0")}
	}
	return nil
}

type outer struct {
	embedded
	Side   side                       `json:"side"`
	On     *chain.ActionSet           `json:"on"`
	Inner  inner                      `json:"inner"`
	Maybe  *inner                     `json:"maybe"`
	Inners map[string]inner           `json:"inners"`
	Raw    map[string]json.RawMessage `json:"raw"`
	Hidden int                        `json:"-"`
}

type embedded struct {
	Count uint32 `json:"count"`
}

func TestJSON(t *testing.T) {
	tests := []struct {
		document string
		want     []string // no faults: it decodes
	}{
		{`{}`, nil},
		{`null`, nil},
		{`{"count": 1, "side": "host", "on": ["pass"], "inner": {"number": 1}, "maybe": null, "inners": {}, "raw": {"a": null}}`, nil},
		{`{"x.y/z": 1}`, nil},
		{`[1]`, []string{"the thing: want an object, got [1]"}},
		{`{"old": 1}`, []string{"old: it is gone"}},
		{`{"Count": 1}`, []string{`Count: unknown field; did you mean "count"?`}},
		{`{"count": -1, "side": 3}`, []string{"count: want a whole number from 0 to 4294967295, got -1", "side: want a string, got 3"}},
		{`{"on": ["pass", "no"]}`, []string{`on[1]: invalid value: action "no"; use one of aborted,drop,pass,tx,redirect,dispatcher_return`}},
		{`{"on": null, "side": null, "inners": null}`, nil},
		{`{"-": 1, "Hidden": 1}`, []string{"-: unknown field", "Hidden: unknown field"}},
		{`{"raw": {"x.y/z": 1, "a": 1, "a": 2}}`, []string{"raw.a: the field is there twice; which one counts would be a guess"}},
		{`{"raw": 1, "embedded": {}}`, []string{"embedded: unknown field", "raw: want an object, got 1"}},
		// Faults of types that decode themselves get the paths of their places.
		{`{"inner": {"Number": 1}}`, []string{`inner.Number: unknown field; did you mean "number"?`}},
		{`{"inner": {"number": "1"}}`, []string{`inner.number: want a whole number, got "1"`}},
		{`{"inner": {"number": 1, "number": 1}}`, []string{`inner.number: the field is there twice; which one counts would be a guess`}},
		{`{"maybe": {"number": 0}}`, []string{"maybe: no number", "maybe[2].x: far", "maybe.number: is 0"}},
		{`{"maybe": []}`, []string{"maybe: want an object, got []"}},
		{`{"inners": {"a": {"number": 1}, "b": {"number": []}, "c": null}}`, []string{"inners.b.number: want a whole number, got []", "inners.c: no number", "inners.c[2].x: far", "inners.c.number: is 0"}},
		// What is not plain ASCII cannot hide.
		{`{"\u0441ount": 1}`, []string{`["\u0441ount"]: unknown field; did you mean "count"?`}},
		{`{"a\nb": 1, "": 2, "a[0]": 3}`, []string{`[""]: unknown field`, `["a\nb"]: unknown field`, `["a[0]"]: unknown field`}},
		{`{"inner": {"number": "1ж` + "\u2028\u0000" + `"}}`, []string{`inner.number: want a whole number, got "1\u0436\u2028"`}},
		{`{"` + strings.Repeat("x", 1000) + `": 1}`, []string{`["` + strings.Repeat("x", 40) + `"…]: unknown field`}},
		{`{"side": [` + strings.Repeat("1,", 1000) + `1]}`, []string{"side: want a string, got [" + strings.Repeat("1,", 19) + "1…"}},
	}
	for _, tt := range tests {
		tt.document = strings.ReplaceAll(tt.document, "\x00", "")
		into := outer{}
		err := JSON([]byte(tt.document), &into, Options{Document: "the thing", Foreign: "x.", Refused: map[string]string{"old": "it is gone"}, Lists: lists})
		faults, _ := errors.AsType[Faults](err)
		if diff := cmp.Diff(tt.want, faults.Strings(), cmp.Transformer("none", func(s []string) string { return strings.Join(s, "\n") })); diff != "" || (err == nil) != (len(tt.want) == 0) {
			t.Errorf("%s: %v, faults (-want +got):\n%s", tt.document, err, diff)
		}
	}
}

func TestJSONIsNone(t *testing.T) {
	for document, offset := range map[string]int64{``: 0, `{`: 1, `{"count": 1,}`: 13, `{} {}`: 4, `count: 1`: 1} {
		var syntax *SyntaxError
		if err := JSON([]byte(document), new(outer), Options{}); !errors.As(err, &syntax) || syntax.Offset != offset || errors.Unwrap(syntax) == nil {
			t.Errorf("%s: %#v", document, err)
		}
	}
}

// What a document does not mention stays as it was.
func TestJSONKeepsWhatIsNotMentioned(t *testing.T) {
	into := outer{Side: hostSide, Inner: inner{Number: 7}}
	if err := JSON([]byte(`{"side": null, "count": 2}`), &into, Options{}); err != nil {
		t.Fatal(err)
	}
	want := outer{embedded: embedded{Count: 2}, Side: hostSide, Inner: inner{Number: 7}}
	if diff := cmp.Diff(want, into, cmp.AllowUnexported(outer{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"attach", "counters", "mode", "name", "priority", "proceedOn", "side"}
	for word, want := range map[string]string{
		"Mode":        "mode",
		"prio":        "priority",
		"proceedon":   "proceedOn",
		"proceed_on":  "proceedOn",
		"counter":     "counters",
		"sied":        "side",
		"attached":    "attach",
		"pr":          "",
		"xx":          "",
		"":            "",
		"attachments": "",
		"entirely":    "",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "a", 1},
		{"ab", "", 2},
		{"side", "side", 0},
		{"side", "sides", 1},
		{"side", "site", 1},
		{"side", "sied", 2},
		{"mode", "side", 2},
		{"abcd", "a", 3},
		{"abc", "xyz", 3},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := distance(tt.b, tt.a); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}
