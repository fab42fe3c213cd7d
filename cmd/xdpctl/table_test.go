// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func exampleTable() *table {
	t := newTable(column{title: "ID", right: true}, column{title: "NAME", cut: true}, column{title: "TAG", wide: true}, column{title: "STATE"})
	t.add(7, "a-name-that-is-long", "first", red.of("failing"))
	t.add(1234, "", "second", green.of("ok"))
	t.add("", "b\x1b[2J", "", "")
	return t
}

func TestTable(t *testing.T) {
	for name, test := range map[string]struct {
		page page
		want string
	}{
		"as wide as it takes": {page{}, `
  ID  NAME                 STATE
   7  a-name-that-is-long  failing
1234                       ok
      b\x1b[2J
`},
		"all columns": {page{wide: true}, `
  ID  NAME                 TAG     STATE
   7  a-name-that-is-long  first   failing
1234                       second  ok
      b\x1b[2J
`},
		"on a narrow terminal": {page{width: 26}, `
  ID  NAME         STATE
   7  a-name-tha…  failing
1234               ok
      b\x1b[2J
`},
		"on one that nothing fits": {page{width: 3}, `
  ID  NAME      STATE
   7  a-name-…  failing
1234            ok
      b\x1b[2J
`},
		"in colours": {page{colour: true}, `
  ID  NAME                 STATE
   7  a-name-that-is-long  ` + "\x1b[31mfailing\x1b[0m" + `
1234                       ` + "\x1b[32mok\x1b[0m" + `
      b\x1b[2J
`},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			test.page.Writer = &out
			if err := exampleTable().print(test.page); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want[1:], out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
