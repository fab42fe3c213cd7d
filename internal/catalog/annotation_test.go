// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/strict"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func policy(t testing.TB, document string) *config.Policy {
	t.Helper()
	p := new(config.Policy)
	if err := json.Unmarshal([]byte(document), p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicyDefaults(t *testing.T) {
	for document, want := range map[string]config.Policy{
		`{}`: {Priorities: config.Band{Min: 100, Max: 199}, Max: 4},
		`{"allow": null, "priorities": null, "max": null}`:                      {Priorities: config.Band{Min: 100, Max: 199}, Max: 4},
		`{"allow": ["a", "b"], "priorities": {"min": 150}}`:                     {Allow: []string{"a", "b"}, Priorities: config.Band{Min: 150, Max: 199}, Max: 4},
		`{"allow": [], "priorities": {"min": 0, "max": 2147483647}, "max": 64}`: {Allow: []string{}, Priorities: config.Band{Min: 0, Max: chain.MaxPriority}, Max: 64},
		`{"priorities": {"max": 100}, "max": 0}`:                                {Priorities: config.Band{Min: 100, Max: 100}},
	} {
		if diff := cmp.Diff(&want, policy(t, document)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", document, diff)
		}
	}
}

func TestPolicyAtFault(t *testing.T) {
	for document, want := range map[string]string{
		`[]`:                                  "want an object, got []",
		`{"alow": []}`:                        `alow: unknown field; did you mean "allow"?`,
		`{"allow": "a"}`:                      `allow: want a list, got "a"`,
		`{"allow": ["a", 1]}`:                 "allow[1]: want a string, got 1",
		`{"allow": ["*"]}`:                    `allow[0]: invalid value: name "*"`,
		`{"allow": ["a", "b", "a"]}`:          `allow[2]: "a" is allowed by allow[0] already`,
		`{"allow": ["a"], "allow": []}`:       "allow: the field is there twice",
		`{"priorities": [1, 2]}`:              "priorities: want an object, got [1, 2]",
		`{"priorities": {"min": "1"}}`:        `priorities.min: want a whole number, got "1"`,
		`{"priorities": {"from": 1}}`:         "priorities.from: unknown field",
		`{"priorities": {"min": 200}}`:        "priorities: invalid value: priorities from 200 to 199",
		`{"priorities": {"min": -1}}`:         "priorities: invalid value: priorities from -1 to 199",
		`{"priorities": {"max": 2147483648}}`: "priorities: invalid value: priorities from 100 to 2147483648",
		`{"max": -1}`:                         "max: -1; it goes from 0 to 64",
		`{"max": 65}`:                         "max: 65; it goes from 0 to 64",
		`{"max": 1.5}`:                        "max: want a whole number, got 1.5",
		`{"max": 65, "allow": ["A"]}`:         "allow[0]: invalid value: name \"A\"; use lower-case letters, digits and inner hyphens\nmax: 65",
	} {
		err := json.Unmarshal([]byte(document), new(config.Policy))
		faults, ok := errors.AsType[strict.Faults](err)
		if !ok || !strings.HasPrefix(faults.Error(), want) {
			t.Errorf("%s: %v, want %q", document, err, want)
		}
	}
}

// In a network's configuration the faults have the paths of theirs.
func TestPolicyAtFaultInAConfiguration(t *testing.T) {
	var conf struct {
		Annotations *config.Policy `json:"annotations"`
	}
	for document, want := range map[string]string{
		`{"annotations": null}`: "",
		`{"annotations": 1}`:    "annotations: want an object, got 1",
		`{"annotations": {"priorities": {"min": "1"}, "allow": [2]}}`: "annotations.allow[0]: want a string, got 2\nannotations.priorities.min: want a whole number, got \"1\"",
		`{"annotations": {"max": 1, "max": 2}}`:                       "annotations.max: the field is there twice; which one counts would be a guess",
		`{"annotations": {"max": 99}}`:                                "annotations.max: 99; it goes from 0 to 64",
	} {
		got := ""
		if err := strict.JSON([]byte(document), &conf, strict.Options{}); err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", document, diff)
		}
	}
}

// rules allow what the catalog of shelf has, and a little more.
const rules = `{"allow": ["rate", "log", "plain", "early", "absent", "broken", "acl"], "max": 3}`

// shelf is a catalog with a program of each kind.
func shelf(t testing.TB) *Catalog {
	return open(t, folder(t, map[string]string{
		"rate.yaml":   "name: rate\nobject: /opt/rate.o\npriority: 110\nglobals: {pps: 1000}\nsettable: {pps: {min: 1, max: 100000}, wide: {min: 0, max: 18446744073709551615}, level: {values: [low, high]}}\n",
		"log.yaml":    "name: log\nobject: /opt/log.o\n",
		"plain.yaml":  "name: plain\nobject: /opt/plain.o\npriority: 199\ntransmits: true\nproceedOn: [pass]\n",
		"early.yaml":  "name: early\nobject: /opt/early.o\npriority: 5\n",
		"secret.yaml": "name: secret\nobject: /opt/secret.o\npriority: 110\n",
		"broken.yaml": "name: broken\nobject: /opt/broken.o\npriority: high\n",
	}))
}

// always is a network's own programs, on both sides.
var always = []config.Program{{Name: "acl"}, {Name: "mine", Object: "/opt/mine.o", Side: new(config.HostSide)}}

func TestPrograms(t *testing.T) {
	band := &config.Band{Min: 100, Max: 199}
	rate := config.Program{Name: "rate", Band: band}
	log := config.Program{Name: "log", Band: band}
	with := func(p config.Program, priority int, globals string) config.Program {
		if priority > 0 {
			p.Priority = &priority
		}
		if globals != "" {
			if err := json.Unmarshal([]byte(globals), &p.Globals); err != nil {
				t.Fatal(err)
			}
		}
		return p
	}
	tests := []struct {
		annotation string
		want       []config.Program
	}{
		{"", nil},
		{" \n\t", nil},
		{`""`, nil},
		{`" "`, nil},
		{"[]", nil},
		{"rate", []config.Program{rate}},
		{" rate,log ", []config.Program{rate, log}},
		{"log,\n  rate\n", []config.Program{log, rate}},
		{`"rate, log"`, []config.Program{rate, log}},
		{"[rate, log]", []config.Program{rate, log}},
		{"- rate\n- name: log\n", []config.Program{rate, log}},
		{`["rate", {"name": "log"}]`, []config.Program{rate, log}},
		{"[{name: rate, priority: 120, globals: {pps: 5000}}]", []config.Program{with(rate, 120, `{"pps": 5000}`)}},
		{
			`[{"name": "rate", "priority": 100, "globals": {"pps": "0x10", "wide": 18446744073709551615, "level": "high"}}]`,
			[]config.Program{with(rate, 100, `{"pps": 16, "wide": "18446744073709551615", "level": "high"}`)},
		},
		{"[{name: rate, priority: null, globals: null}]", []config.Program{rate}},
		{"[{name: rate, globals: {}}]", []config.Program{rate}},
		{"[{name: early, priority: 199}]", []config.Program{with(config.Program{Name: "early", Band: band}, 199, "")}},
		{"[rate, log, plain]", []config.Program{rate, log, {Name: "plain", Band: band}}},
		{"# as agreed\n- rate # all of it\n", []config.Program{rate}},
	}
	c, p := shelf(t), policy(t, rules)
	for _, tt := range tests {
		got, err := c.Programs(p, tt.annotation, always)
		if len(got) == 0 {
			got = nil
		}
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", tt.annotation, err, diff)
		}
	}
	if got, err := c.Programs(nil, "no [ YAML", always); got != nil || err != nil {
		t.Errorf("without a policy: %v, %v", got, err)
	}
}

func TestProgramsRefused(t *testing.T) {
	const prefix = "refused by policy: annotation xdp-chain.io/programs: "
	thousand := strings.TrimSuffix(strings.Repeat("rate,", 1000), ",")
	tests := []struct{ name, annotation, want string }{
		{"1 MiB", strings.Repeat("rate,   ", 1<<17), "it has 1048576 bytes; at most 16384 are read"},
		{"not YAML", "[rate", "not YAML: did not find expected ',' or ']'"},
		{"not YAML in lines", "- rate\n- {name: log\n- plain\n", "line 2: not YAML: "},
		{"not UTF-8", "rate\xff", "the text is not UTF-8"},
		{"a long alias", "[*" + strings.Repeat("a", 16000) + "]", "an alias of no anchor, and aliases are not taken; write the value out"},
		{"long paths", strings.Repeat("{"+strings.Repeat("k", 80)+": ", 14) + "{a: 1, a: 2}" + strings.Repeat("}", 14), strings.Repeat("k", 80) + "." + strings.Repeat("k", 80) + "." + strings.Repeat("k", 38) + "…: the field is there twice"},
		{"NUL", "rate\x00", "not YAML: control characters are not allowed"},
		{"a mapping", "name: rate", `want names with commas between them, or a list, got {"name":"rate"}`},
		{"a number", "7", "want names with commas between them, or a list, got 7"},
		{"null", "null", "want names with commas between them, or a list, got null"},
		{"a number in a list", "[rate, 7]", "[1]: want a program's name, or an object with a name, got 7"},
		{"null in a list", "- rate\n- \n", "line 2: [1]: want a program's name, or an object with a name, got null"},
		{"a list in a list", "[[rate]]", `[0]: want a program's name, or an object with a name, got ["rate"]`},
		{"name of a wrong type", "[{name: [rate]}]", `[0].name: want a string, got ["rate"]`},
		{"priority of a wrong type", "- name: rate\n  priority: high\n", `line 2: [0].priority: want a whole number, got "high"`},
		{"priority with a fraction", "[{name: rate, priority: 120.0}]", "[0].priority: want a whole number, got 120.0"},
		{"globals of a wrong type", "[{name: rate, globals: [pps]}]", `[0].globals: want an object, got ["pps"]`},
		{"unknown field", "[{name: rate, prio: 120}]", `[0].prio: unknown field; did you mean "priority"?`},
		{"case of a field", "[{Name: rate}]", `[0].Name: unknown field; did you mean "name"?`},
		{"object", "[{name: rate, object: /tmp/mine.o}]", "[0].object: a pod cannot give this"},
		{"image", "[{name: rate, image: r/a}]", "[0].image: a pod cannot give this"},
		{"function", "[{name: rate, function: f}]", "[0].function: a pod cannot give this"},
		{"proceedOn", "[{name: rate, proceedOn: [drop]}]", "[0].proceedOn: a pod cannot give this"},
		{"side", "[{name: rate, side: host}]", "[0].side: a pod cannot give this"},
		{"maps", "[{name: rate, maps: {m: {pinned: /sys/fs/bpf/x}}}]", "[0].maps: a pod cannot give this"},
		{"band", "[{name: rate, band: {min: 0, max: 9}}]", "[0].band: unknown field"},
		{"exploding aliases", "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "line 1: a: anchors (&a) are not taken"},
		{"alias", "- &a rate\n- *a\n", "line 1: [0]: anchors (&a) are not taken; leave it out\nline 2: [1]: aliases (*a) are not taken"},
		{"merge key", "- {<<: {name: rate}}", "[0]: merge keys (<<) are not taken"},
		{"tag", "!!str rate", "tags (!!str) are not taken"},
		{"several documents", "rate\n--- \nlog\n", "line 2: a second document begins"},
		{"deep", strings.Repeat("[", 8000), "not YAML: "},
		{"deep and whole", strings.Repeat("[", 8000) + strings.Repeat("]", 8000), "[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: more than 16 values lie in each other"},
		{"duplicate keys", "- name: rate\n  name: log\n", "line 2: [0].name: the field is there twice, first on line 1"},
		{"duplicate keys in JSON", `[{"name": "rate", "globals": {"pps": 1, "pps": 2}}]`, "[0].globals.pps: the field is there twice"},
		{"named twice", "rate, log, rate", `program "rate" is named twice`},
		{"listed twice", "- rate\n- name: rate\n", `line 2: [1]: program "rate" is named twice`},
		{"of the configuration", "acl", `program "acl" is in the network's configuration already; a pod cannot change it`},
		{"of the configuration's other side", "mine", `program "mine" is not allowed`},
		{"not allowed", "secret", `program "secret" is not allowed; allowed: rate, log, plain, early, absent, broken, acl`},
		{"nowhere", "nothing", `program "nothing" is not allowed`},
		{"case", "Rate", `program "Rate" is not allowed`},
		{"look-alike", "r\u0430te", `program "r\u0430te" is not allowed`},
		{"look-alike in a list", `["\u0280ate"]`, `[0]: program "\u0280ate" is not allowed`},
		{"not trimmed", "[\"rate \"]", `[0]: program "rate " is not allowed`},
		{"no-break space", "\u00a0rate", `program "\u00a0rate" is not allowed`},
		{"zero width", "ra\u200bte", `program "ra\u200bte" is not allowed`},
		{"look-alike comma", "rate\uff0clog", `program "rate\uff0clog" is not allowed`},
		{"path-like", "../../etc/rate", `program "../../etc/rate" is not allowed`},
		{"absolute path", "/opt/rate.o", `program "/opt/rate.o" is not allowed`},
		{"new line", `["rate\nlog"]`, `[0]: program "rate\nlog" is not allowed`},
		{"long", strings.Repeat("a", 5000), `program "` + strings.Repeat("a", 40) + `"… is not allowed`},
		{"no name", "[{priority: 120}]", "[0]: a program's name is missing (program 1 of 1)"},
		{"empty name", "rate,,log", "a program's name is missing (program 2 of 3)"},
		{"comma at the end", "rate,", "a program's name is missing (program 2 of 2)"},
		{"more than max", "rate, log, plain, early", "it names 4 programs; at most 3 are allowed"},
		{"1,000 entries", thousand, "it names 1000 programs; at most 3 are allowed"},
		{"1,000 entries in a list", "[" + thousand + "]", "it names 1000 programs; at most 3 are allowed"},
		{"before the band", "[{name: rate, priority: 99}]", "[0].priority: 99 is not from 100 to 199"},
		{"behind the band", "[{name: rate, priority: 200}]", "[0].priority: 200 is not from 100 to 199"},
		{"before everything", "[{name: rate, priority: -2147483648}]", "[0].priority: -2147483648 is not from 100 to 199"},
		{"priority overflowing", "[{name: rate, priority: 4294967396}]", "[0].priority: 4294967396 is not from 100 to 199"},
		{"priority overflowing 64 bits", "[{name: rate, priority: 18446744073709551736}]", "[0].priority: want a whole number, got 18446744073709551736"},
		{"catalog's priority", "early", `program "early" has priority 5 in the catalog, which is not from 100 to 199`},
		{"not settable", "[{name: rate, globals: {burst: 1}}]", `[0].globals.burst: a pod cannot set it; of program "rate" it can set level, pps, wide`},
		{"nothing settable", "[{name: log, globals: {pps: 1}}]", `[0].globals.pps: a pod can set nothing of program "log"`},
		{"under the bounds", "[{name: rate, globals: {pps: 0}}]", "[0].globals.pps: 0 is not 1 to 100000"},
		{"over the bounds", "- name: rate\n  globals:\n    pps: 100001\n", "line 3: [0].globals.pps: 100001 is not 1 to 100000"},
		{"bounds as text", `[{name: rate, globals: {pps: "100001"}}]`, `[0].globals.pps: "100001" is not 1 to 100000`},
		{"no whole number", "[{name: rate, globals: {pps: 1.5}}]", "[0].globals.pps: 1.5 is not 1 to 100000"},
		{"exponent", "[{name: rate, globals: {pps: 1e3}}]", "[0].globals.pps: 1e3 is not 1 to 100000"},
		{"octal", "[{name: rate, globals: {pps: 0777}}]", "[0].globals.pps: 0777 is no number of JSON"},
		{"infinite", "[{name: rate, globals: {pps: .inf}}]", "[0].globals.pps: .inf is no number of JSON"},
		{"null global", "[{name: rate, globals: {pps: }}]", "[0].globals.pps: null is not 1 to 100000"},
		{"array", "[{name: rate, globals: {pps: [1]}}]", "[0].globals.pps: [1] is not 1 to 100000"},
		{"object", "[{name: rate, globals: {level: {a: low}}}]", `[0].globals.level: {"a":"low"} is not "low" or "high"`},
		{"placeholder", `[{name: rate, globals: {pps: "${pod.ifindex}"}}]`, `[0].globals.pps: "${pod.ifindex}" is not 1 to 100000`},
		{"not of the values", "[{name: rate, globals: {level: LOW}}]", `[0].globals.level: "LOW" is not "low" or "high"`},
		{"long value", "[{name: rate, globals: {level: " + strings.Repeat("x", 999) + "}}]", `[0].globals.level: "` + strings.Repeat("x", 39) + `… is not "low" or "high"`},
		{"odd global", "[{name: rate, globals: {\"\u0440ps\": 1}}]", `[0].globals["\u0440ps"]: a pod cannot set it`},
		{
			"several faults", "- name: rate\n  priority: 1\n  globals:\n    pps: 0\n- early\n",
			"line 2: [0].priority: 1 is not from 100 to 199\nline 4: [0].globals.pps: 0 is not 1 to 100000\nline 5: [1]: program \"early\" has priority 5",
		},
		{"names before the rest", "[{name: secret, priority: 1}, broken]", `[0]: program "secret" is not allowed`},
	}
	c, p := shelf(t), policy(t, rules)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := c.Programs(p, tt.annotation, always)
			if !errors.Is(err, config.ErrPolicy) || !strings.HasPrefix(err.Error(), prefix+tt.want) || got != nil {
				t.Fatalf("%v, %v\nwant %q", got, err, prefix+tt.want)
			}
			for _, r := range err.Error() {
				if r != '\n' && r != '…' && (r < ' ' || r > '~') {
					t.Errorf("a message with the character %+q: %+q", r, err)
				}
			}
			if len(err.Error()) > 2048 {
				t.Errorf("a message of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestProgramsThatTheCatalogLacks(t *testing.T) {
	c, p := shelf(t), policy(t, rules)
	for annotation, want := range map[string]struct {
		err  error
		text string
	}{
		"absent":           {ErrUnknown, `annotation xdp-chain.io/programs: no such program in the catalog: "absent"; it has acl`},
		"rate, broken":     {ErrBroken, `annotation xdp-chain.io/programs: program "broken": the catalog is broken: `},
		"[{name: absent}]": {ErrUnknown, `annotation xdp-chain.io/programs: no such program in the catalog: "absent"`},
	} {
		got, err := c.Programs(p, annotation, nil)
		if !errors.Is(err, want.err) || errors.Is(err, config.ErrPolicy) || !strings.HasPrefix(err.Error(), want.text) || got != nil {
			t.Errorf("%q: %v, %v; want %q", annotation, got, err, want.text)
		}
	}
	if _, err := c.Programs(p, "broken", nil); !strings.Contains(err.Error(), `broken.yaml:3: priority: want a whole number, got "high"`) {
		t.Errorf("the message lacks the file's fault: %v", err)
	}
}

// Whatever the pod's author does, the network's programs stay what they are: a name of
// theirs is refused wherever it stands and however it is written.
func TestProgramsNeverRename(t *testing.T) {
	p := policy(t, `{"allow": ["acl", "mine"], "max": 64, "priorities": {"min": 0}}`)
	for _, name := range []string{"acl", "mine"} {
		for _, annotation := range []string{name, " " + name, "x, " + name, "[" + name + "]", `["` + name + `"]`, fmt.Sprintf(`[{"name": %q, "priority": 0}]`, name), "- name: " + name + "\n"} {
			if got, err := (*Catalog)(nil).Programs(p, annotation, always); !errors.Is(err, config.ErrPolicy) {
				t.Errorf("%q: %v, %v", annotation, got, err)
			}
		}
	}
	if diff := cmp.Diff([]config.Program{{Name: "acl"}, {Name: "mine", Object: "/opt/mine.o", Side: new(config.HostSide)}}, always); diff != "" {
		t.Errorf("the network's programs changed:\n%s", diff)
	}
}

// A policy that was not read from a configuration allows nothing.
func TestZeroPolicyAllowsNothing(t *testing.T) {
	if got, err := (*Catalog)(nil).Programs(new(config.Policy), "acl", nil); !errors.Is(err, config.ErrPolicy) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := (*Catalog)(nil).Programs(new(config.Policy), "", nil); err != nil || len(got) != 0 {
		t.Errorf("an empty annotation: %v, %v", got, err)
	}
}

// setting decodes what a catalog file has.
func setting(t testing.TB, document string) Setting {
	t.Helper()
	var s Setting
	if err := json.Unmarshal([]byte(document), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSettingAccepts(t *testing.T) {
	const (
		bounds = `{"min": -5, "max": 100}`
		wide   = `{"min": 0, "max": "0xffffffffffffffff"}`
		values = `{"values": ["low", "hi\u0067h", 7, 1.50, "8", true]}`
	)
	for _, tt := range []struct{ setting, value, want string }{
		{bounds, `-5`, `-5`},
		{bounds, `100`, `100`},
		{bounds, `"0x10"`, `16`},
		{bounds, `"7"`, `7`},
		{bounds, `-6`, ``},
		{bounds, `101`, ``},
		{bounds, `7.0`, ``},
		{bounds, `1e1`, ``},
		{bounds, `"seven"`, ``},
		{bounds, `"007"`, ``},
		{bounds, `""`, ``},
		{bounds, `true`, ``},
		{bounds, `null`, ``},
		{bounds, `[7]`, ``},
		{bounds, `"${pod.ifindex}"`, ``},
		{wide, `18446744073709551615`, `"18446744073709551615"`},
		{wide, `9007199254740993`, `"9007199254740993"`},
		{wide, `18446744073709551616`, ``},
		{wide, `-1`, ``},
		{values, `"low"`, `"low"`},
		{values, `"high"`, `"hi\u0067h"`},
		{values, `"\u006cow"`, `"low"`},
		{values, `7`, `7`},
		{values, `"8"`, `"8"`},
		{values, `true`, `true`},
		{values, `1.50`, `1.50`},
		{values, `1.5`, ``},
		{values, `7.0`, ``},
		{values, `"7"`, ``},
		{values, `8`, ``},
		{values, `"true"`, ``},
		{values, `"LOW"`, ``},
		{values, `"l\u043ew"`, ``},
		{values, `null`, ``},
		{values, `["low"]`, ``},
	} {
		got, ok := setting(t, tt.setting).Accept(json.RawMessage(tt.value))
		if string(got) != tt.want || ok != (tt.want != "") {
			t.Errorf("%s makes %s of %s, %v; want %q", tt.setting, got, tt.value, ok, tt.want)
		}
	}
	if got, ok := (Setting{}).Accept(json.RawMessage("1")); ok {
		t.Errorf("no setting makes %s", got)
	}
}

func TestSettingExtremes(t *testing.T) {
	for document, want := range map[string]string{
		`{"min": "-0x1", "max": "18446744073709551615"}`: `[-1,"18446744073709551615"]`,
		`{"values": ["a", 1, false]}`:                    `["a",1,false]`,
		`{"min": 3, "max": 3, "values": null}`:           `[3,3]`,
	} {
		got, err := json.Marshal(setting(t, document).Extremes())
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", document, got, err, want)
		}
	}
}

func TestSettingRefuses(t *testing.T) {
	const wanted = `want {"min": …, "max": …} or {"values": […]}`
	for document, want := range map[string]string{
		`{}`:                                   wanted,
		`null`:                                 wanted,
		`{"min": 1, "max": 2, "values": [1]}`:  wanted,
		`{"min": 1}`:                           "it has no max; give both bounds",
		`{"max": 1}`:                           "it has no min; give both bounds",
		`{"min": null, "max": 1}`:              "min: want a whole number, got null",
		`{"min": 2, "max": 1}`:                 "min 2 is over max 1",
		`{"min": 1.5, "max": 2}`:               "min: want a whole number, got 1.5",
		`{"min": 1, "max": "many"}`:            `max: want a whole number, got "many"`,
		`{"min": [], "max": {}}`:               "min: want a whole number, got []\nmax: want a whole number, got {}",
		`{"values": []}`:                       "values: the list is empty",
		`{"values": "a"}`:                      `values: want a list, got "a"`,
		`{"values": [1, null, [2], {"a": 1}]}`: "values[1]: want a string, a number, true or false, got null\nvalues[2]: want a string, a number, true or false, got [2]\nvalues[3]: ",
		`{"minimum": 1, "max": 2}`:             `minimum: unknown field`,
		`{"min": 1, "max": 2, "step": 1}`:      `step: unknown field`,
		`{"min": 1, "min": 2, "max": 3}`:       "min: the field is there twice",
		`[1, 2]`:                               "want an object, got [1, 2]",
		`{"min": "` + strings.Repeat("9", 99) + `", "max": 1}`: `min: want a whole number, got "9999`,
	} {
		var s Setting
		err := json.Unmarshal([]byte(document), &s)
		faults, ok := errors.AsType[strict.Faults](err)
		if !ok || !strings.HasPrefix(faults.Error(), want) {
			t.Errorf("%s: %v, want %q", document, err, want)
		}
	}
}

func TestSettingPrints(t *testing.T) {
	for document, want := range map[string]string{
		`{"min": -1, "max": 18446744073709551615}`:    "-1 to 18446744073709551615",
		`{"values": ["low", 7, true]}`:                `"low" or 7 or true`,
		`{"values": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}`: "1 or 2 or 3 or 4 or 5 or 6 or 7 or 8 or …",
	} {
		if diff := cmp.Diff(want, setting(t, document).String()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}
