// SPDX-License-Identifier: Apache-2.0

package strict

import "testing"

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
