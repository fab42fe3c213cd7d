// SPDX-License-Identifier: Apache-2.0

package insns

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sampleGrid() *Grid {
	return &Grid{Kernel: "6.12", Members: []int{1, 10}, TestRun: 40, Rows: []Row{
		{"lone", map[int]int{1: 90}},
		{nameOurs, map[int]int{1: 80, 10: 500}},
		{nameLoader, map[int]int{1: 80, 10: 499}},
		{"C", map[int]int{1: 60, 10: 250}},
	}}
}

func TestGridTable(t *testing.T) {
	var got strings.Builder
	if err := sampleGrid().WriteTable(&got); err != nil {
		t.Fatal(err)
	}
	want := `Linux 6.12: instructions a packet, and how many times those of C
40 of each are the kernel's test run by itself

members                               1                10
lone                                 90  1.50 x
libxdp, made by us                   80  1.33 x       500  2.00 x
libxdp, made by xdp-loader           80  1.33 x       499  2.00 x
C                                    60  1.00 x       250  1.00 x

libxdp, made by us, costs no more than libxdp, made by xdp-loader: MISSED, 10 members: 1 more
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestGridTarget(t *testing.T) {
	g := sampleGrid()
	g.Rows[1].Instructions[10] = 499
	if got := g.target(); got != "met" {
		t.Errorf("as much as xdp-loader's: %s, want met", got)
	}
}

func TestGridJSON(t *testing.T) {
	var text strings.Builder
	if err := sampleGrid().WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got Grid
	if err := json.Unmarshal([]byte(text.String()), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleGrid(), &got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}
