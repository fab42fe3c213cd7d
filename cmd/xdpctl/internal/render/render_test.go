// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func exampleTable() *Table {
	t := New("", Col("ID", Right), Col("NAME", Cut), Col("TAG", Wide), Col("STATE"))
	t.Add(7, "a-name-that-is-long", "first", Red.Of("failing"))
	t.Add(1234, "", "second", Green.Of("ok"))
	t.Add("", "b\x1b[2J", "", "")
	return t
}

func TestTable(t *testing.T) {
	for name, test := range map[string]struct {
		screen Screen
		want   string
	}{
		"as wide as it takes": {Screen{}, `
  ID  NAME                 STATE
   7  a-name-that-is-long  failing
1234                       ok
      b\x1b[2J
`},
		"all columns": {Screen{Wide: true}, `
  ID  NAME                 TAG     STATE
   7  a-name-that-is-long  first   failing
1234                       second  ok
      b\x1b[2J
`},
		"on a narrow terminal": {Screen{Width: 26}, `
  ID  NAME         STATE
   7  a-name-tha…  failing
1234               ok
      b\x1b[2J
`},
		"on one that nothing fits": {Screen{Width: 3}, `
  ID  NAME      STATE
   7  a-name-…  failing
1234            ok
      b\x1b[2J
`},
		"in colours": {Screen{Colour: true}, `
  ID  NAME                 STATE
   7  a-name-that-is-long  ` + "\x1b[31mfailing\x1b[0m" + `
1234                       ` + "\x1b[32mok\x1b[0m" + `
      b\x1b[2J
`},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want[1:], exampleTable().Text(test.screen)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Text between rows stands as it is, and widens no column.
func TestTextBetweenRows(t *testing.T) {
	table := New("  ", Col("NAME", Cut), Col("PACKETS"))
	table.AddText("first\n")
	table.Add("acl", 12)
	table.AddText("\ttwo lines\nthat are longer than the screen\n")
	table.AddText("")
	table.Add("count", 4)
	const want = `  NAME   PACKETS
first
  acl    12
	two lines
that are longer than the screen
  count  4
`
	if diff := cmp.Diff(want, table.Text(Screen{Width: 10})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What ends a row early neither widens its column nor is cut.
func TestShortRow(t *testing.T) {
	table := New("  ", Col("NAME", Cut), Col("PACKETS"), Col("RATE"))
	table.Add("acl", 12, 4)
	table.Add("a sentence instead of figures")
	const want = `  NAME  PACKETS  RATE
  acl   12       4
  a sentence instead of figures
`
	for _, s := range []Screen{{}, {Width: 10}} {
		if diff := cmp.Diff(want, table.Text(s)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// What stands in YAML has JSON's names in JSON's order, and reads back as the same.
func TestYAML(t *testing.T) {
	var out bytes.Buffer
	value := struct {
		Name    string           `json:"name"`
		Actions chain.ActionSet  `json:"proceedOn"`
		None    []string         `json:"none"`
		Words   map[string]any   `json:"words"`
		Number  uint64           `json:"number"`
		Members []map[string]int `json:"members"`
	}{
		"web-0", chain.DefaultProceedOn,
		[]string{},
		map[string]any{"a": "yes", "b": "0123", "c": "a: b", "d": "<&>", "e": nil, "f": true, "g": "12:30", "h": "1-3"},
		1<<64 - 1,
		[]map[string]int{{"x": 1}, {}},
	}
	if err := Value(&out, value, true); err != nil {
		t.Fatal(err)
	}
	const want = `name: web-0
proceedOn:
  - pass
  - dispatcher_return
none: []
words:
  a: "yes"
  b: "0123"
  c: 'a: b'
  d: <&>
  e: null
  f: true
  g: "12:30"
  h: 1-3
number: 18446744073709551615
members:
  - x: 1
  - {}
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
