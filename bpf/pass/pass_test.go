// SPDX-License-Identifier: Apache-2.0

package pass_test

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/bpf/internal/xdptest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestPassesEveryLength(t *testing.T) {
	program := xdptest.Load(t, xdptest.Spec(t, "pass")).Programs["pass"]
	frame := make([]byte, 2000)
	for length := xdptest.MinFrame; length <= len(frame); length++ {
		if got := xdptest.Run(t, program, frame[:length]); got != xdptest.Pass {
			t.Fatalf("%d bytes: got verdict %d", length, got)
		}
	}
}

func BenchmarkPass(b *testing.B) {
	program := xdptest.Load(b, xdptest.Spec(b, "pass")).Programs["pass"]
	xdptest.Benchmark(b, program, make([]byte, 64))
}
