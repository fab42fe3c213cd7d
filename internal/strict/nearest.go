// SPDX-License-Identifier: Apache-2.0

package strict

import "strings"

// nearest returns the name that a misspelt one most likely stands for: the same
// but for case, one that begins with it, or one within two typing errors. It
// returns "" where nothing is near.
func nearest(word string, names []string) string {
	word = strings.ToLower(word)
	best, bestDistance := "", 3
	for _, name := range names {
		lower := strings.ToLower(name)
		if len(word) >= 3 && strings.HasPrefix(lower, word) {
			return name
		}
		// In short words as many errors would leave nothing in common.
		if d := distance(word, lower); d < bestDistance && d*2 <= len(word) {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance returns the least number of bytes to insert, delete or replace that
// makes b of a (Levenshtein), and 3 at once for lengths that far apart.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
