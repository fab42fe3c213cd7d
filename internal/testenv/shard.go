// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"os"
	"testing"
)

// turnEnv is set by integration/vm in its guests: which of the kernels that run this one
// is, counted from 0, and how many these are, as in "1/3".
const turnEnv = "XDP_CHAIN_TURN"

// Shard returns which of the lab's kernels this one is, counted from 0, and how many of
// them run. Elsewhere it is the one of one.
func Shard(t testing.TB) (mine, kernels int) {
	t.Helper()
	text, inLab := os.LookupEnv(turnEnv)
	if !inLab {
		return 0, 1
	}
	if n, err := fmt.Sscanf(text, "%d/%d", &mine, &kernels); n != 2 || mine < 0 || mine >= kernels {
		t.Fatalf("%s=%q, want the like of 1/3: %v", turnEnv, text, err)
	}
	return mine, kernels
}

// ShardByKernel skips the ith of several cases where tests are to be short and another of
// the lab's kernels runs it. It is for cases that differ in what is the same on all of
// them: together the kernels run each case, and each of them a few.
func ShardByKernel(t testing.TB, i int) {
	t.Helper()
	if mine, kernels := Shard(t); testing.Short() && i%kernels != mine {
		t.Skipf("kernel %d of the lab's %d runs it, and tests are to be short", i%kernels, kernels)
	}
}
