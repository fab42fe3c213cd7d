// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sample() *Report {
	s := &Section{Name: "del", Title: "DEL"}
	base := s.Add("nothing", 2, "ms")
	ours := s.Add("chain", 5, "ms")
	ours.Against(base)
	ours.Target(4)
	s.Ratio("this / other", Samples{3, 3, 8, 1, 4}, Samples{2, 4, 4, 2, 1})
	s.Add("lost", 0, "packets").Target(0)
	return &Report{Machine: Machine{Kernel: "6.1", CPU: "some", CPUs: 2, Load: "0.5", Returns: "not slowed"}, Sections: []*Section{s}}
}

func TestTable(t *testing.T) {
	var got strings.Builder
	if err := sample().WriteTable(&got); err != nil {
		t.Fatal(err)
	}
	want := `Linux 6.1, 2 CPUs (some), load 0.5 at the start
returns of functions: not slowed

DEL
  nothing         2.00 ms
  chain           5.00 ms   2.50 x nothing  at most 4 ms: MISSED
  this / other    1.50 x    middle half of the rounds: 0.75 to 2.00
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
	if err := sample().WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal([]byte(text.String()), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), &got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		samples Samples
		want    int64
	}{
		{nil, 0},
		{Samples{7}, 7},
		{Samples{9, 1}, 5},
		{Samples{1000, 3, 1}, 3},
		{Samples{4, 1000, 2, 0}, 3},
	} {
		if got := test.samples.Median().Nanoseconds(); got != test.want {
			t.Errorf("median of %v is %d, want %d", test.samples, got, test.want)
		}
	}
}
