// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sample() *report {
	s := &section{Name: "del", Title: "DEL"}
	base := s.add("nothing", 2, "ms")
	ours := s.add("chain", 5, "ms")
	ours.against(base)
	ours.atMost(4)
	s.add("lost", 0, "packets").atMost(0)
	return &report{Machine: machine{Kernel: "6.1", CPU: "some", CPUs: 2, Load: "0.5", Returns: "not slowed"}, Sections: []*section{s}}
}

func TestTable(t *testing.T) {
	var got strings.Builder
	if err := sample().writeTable(&got); err != nil {
		t.Fatal(err)
	}
	want := `Linux 6.1, 2 CPUs (some), load 0.5 at the start
returns of functions: not slowed

DEL
  nothing         2.00 ms
  chain           5.00 ms   2.50 x nothing  at most 4 ms: MISSED
  lost               0 packets              at most 0 packets: met
`
	lines := func(s string) []string {
		var all []string
		for line := range strings.Lines(s) {
			all = append(all, strings.Join(strings.Fields(line), " "))
		}
		return all
	}
	if diff := cmp.Diff(lines(want), lines(got.String())); diff != "" {
		t.Errorf("table (-want +got):\n%s\n%s", diff, got.String())
	}
}

func TestJSONSaysWhatTheTableSays(t *testing.T) {
	var text strings.Builder
	if err := sample().writeJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal([]byte(text.String()), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), &got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}
