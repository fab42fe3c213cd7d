// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

// What the benchmarks compare a chain with.
//go:generate ../../../bpf/compile.sh testdata/ten.c testdata/ten.o

// BenchmarkPacket reports ns/packet of chains and of the same work as one function.
func BenchmarkPacket(b *testing.B) {
	packets := func(b *testing.B, p *ebpf.Program) {
		b.Helper()
		_, perPacket, err := p.Benchmark(chaintest.Frame(), b.N, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(perPacket.Nanoseconds()), "ns/packet")
	}
	b.Run("one function of 10", func(b *testing.B) {
		content, err := os.ReadFile("testdata/ten.o")
		if err != nil {
			b.Fatal(err)
		}
		m := chaintest.ObjectOf(b, content, "ten", "ten", 0)
		c, err := ebpf.NewCollection(m.Spec)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		packets(b, c.Programs["ten"])
	})
	for _, n := range []int{1, 2, 5, 10} {
		for _, counters := range []bool{false, true} {
			b.Run(fmt.Sprintf("chain of %d, counters %t", n, counters), func(b *testing.B) {
				packets(b, build(b, dispatcher.Options{Counters: counters}, chaintest.Counting(b, n)...).Program)
			})
		}
	}
}

// BenchmarkBuild loads chains of small members.
func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{1, 5, 10} {
		members := chaintest.Counting(b, n)
		b.Run(fmt.Sprintf("members %d", n), func(b *testing.B) {
			for b.Loop() {
				built, err := New().Build(context.Background(), members, dispatcher.Options{Counters: true})
				if err != nil {
					b.Fatal(err)
				}
				built.Close()
			}
		})
	}
}
