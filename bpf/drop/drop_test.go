// SPDX-License-Identifier: Apache-2.0

package drop_test

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/bpf/internal/xdptest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestDropsEveryLength(t *testing.T) {
	program := xdptest.Load(t, xdptest.Spec(t, "drop")).Programs["drop"]
	frame := make([]byte, 2000)
	for length := xdptest.MinFrame; length <= len(frame); length++ {
		if got := xdptest.Run(t, program, frame[:length]); got != xdptest.Drop {
			t.Fatalf("%d bytes: got verdict %d", length, got)
		}
	}
}

func BenchmarkDrop(b *testing.B) {
	program := xdptest.Load(b, xdptest.Spec(b, "drop")).Programs["drop"]
	xdptest.Benchmark(b, program, make([]byte, 64))
}
