// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"
)

// samples are the durations of one thing that was done again and again.
type samples []time.Duration

// median returns the middle sample, the mean of the two middle ones of an even
// number, and 0 of none.
func (s samples) median() time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// least returns the smallest sample; there must be one.
func (s samples) least() time.Duration { return slices.Min(s) }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
