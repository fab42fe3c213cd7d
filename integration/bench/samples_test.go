// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		samples samples
		want    int64
	}{
		{nil, 0},
		{samples{7}, 7},
		{samples{9, 1}, 5},
		{samples{1000, 3, 1}, 3},
		{samples{4, 1000, 2, 0}, 3},
	} {
		if got := test.samples.median().Nanoseconds(); got != test.want {
			t.Errorf("median of %v is %d, want %d", test.samples, got, test.want)
		}
	}
}
