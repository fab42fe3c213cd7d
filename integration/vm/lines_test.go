// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
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
