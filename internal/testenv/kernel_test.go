// SPDX-License-Identifier: Apache-2.0

package testenv_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// Together the kernels run each case once where tests are to be short, and otherwise
// each of them runs all.
func TestShardByKernel(t *testing.T) {
	const kernels, cases = 3, 7
	var ran [cases]int
	for mine := range kernels {
		t.Setenv("XDP_CHAIN_SHARD", fmt.Sprintf("%d/%d", mine, kernels))
		for i := range cases {
			t.Run(fmt.Sprintf("kernel %d/case %d", mine, i), func(t *testing.T) {
				testenv.ShardByKernel(t, i)
				ran[i]++
			})
		}
	}
	want := [cases]int{}
	for i := range want {
		want[i] = kernels
		if testing.Short() {
			want[i] = 1
		}
	}
	if diff := cmp.Diff(want, ran); diff != "" {
		t.Errorf("how often each case ran (-want +got):\n%s", diff)
	}
}

// The probe itself: in the lab it must find that functions can be replaced, and it
// must leave nothing anywhere.
func TestNeedFreplaceLeavesNothing(t *testing.T) {
	testenv.NoLeaks(t)
	testenv.NeedFreplace(t)
}
