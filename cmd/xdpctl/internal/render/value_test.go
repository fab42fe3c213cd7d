// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

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
