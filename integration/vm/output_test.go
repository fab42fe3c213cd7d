// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// writes notes each Write.
type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

func TestLineWriter(t *testing.T) {
	var got writes
	w := &lineWriter{prefix: "> ", to: &got}
	for _, part := range []string{"a", "b\n", "", "\nc\nd"} {
		if n, err := fmt.Fprint(w, part); n != len(part) || err != nil {
			t.Errorf("writing %q: %d, %v", part, n, err)
		}
	}
	w.flush()
	w.flush()
	if diff := cmp.Diff(writes{"> ab\n", "> \n", "> c\n", "> d\n"}, got); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestFailures(t *testing.T) {
	const failed = "--- FAIL: TestLife (0.10s)\n    life_test.go:1: no chain\nFAIL\nFAIL internal/node\t1.5s\n"
	for _, tt := range []struct{ name, output, want string }{
		{"all pass", "PASS\nok   pkg/pin\t1.0s\n", ""},
		{"one fails", "PASS\nok   pkg/pin\t1.0s\n" + failed + "PASS\nok   cmd/xdpctl\t3.2s\n", failed},
		{"two fail", failed + failed, failed + failed},
		{"a command without steps", "FAIL internal/node\n", ""},
		{"only its first lines", strings.Repeat("again\n", 1000) + failed, strings.Repeat("again\n", failureLines)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := failures{prefix: "6.1  | "}
			lines := &lineWriter{prefix: f.prefix, to: &f}
			if _, err := fmt.Fprint(lines, tt.output); err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(string(f.kept), f.prefix, "")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
}
