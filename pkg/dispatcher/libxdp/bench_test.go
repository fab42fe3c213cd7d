// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"context"
	"fmt"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

// BenchmarkBuild loads chains of small members, and joins one to others that are there.
func BenchmarkBuild(b *testing.B) {
	testenv.NeedFreplace(b)
	for _, n := range []int{1, 5, 10} {
		members := chaintest.Counting(b, n)
		b.Run(fmt.Sprintf("members %d", n), func(b *testing.B) { benchmark(b, members) })
		if n == 1 {
			continue
		}
		there := build(b, members[1:]...)
		for i := range members[1:] {
			members[1+i] = again(b, members[1+i], there)
		}
		b.Run(fmt.Sprintf("members %d, one of them new", n), func(b *testing.B) { benchmark(b, members) })
	}
}

func benchmark(b *testing.B, members []dispatcher.Member) {
	for b.Loop() {
		built, err := New(DefaultVersion).Build(context.Background(), members, dispatcher.Options{})
		if err != nil {
			b.Fatal(err)
		}
		built.Close()
	}
}
