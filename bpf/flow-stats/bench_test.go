// SPDX-License-Identifier: Apache-2.0

package flowstats_test

import (
	"testing"

	x "github.com/xdp-chain/xdp-chain/bpf/internal/xdptest"
)

func BenchmarkFlowStats(b *testing.B) {
	program := x.Load(b, x.Spec(b, "flow-stats")).Programs["flow_stats"]
	for name, frame := range map[string][]byte{
		"tcp4":      ipv4(x.TCP, x.Segment(80)),
		"tcp6":      ipv6(x.TCP, x.Segment(80)),
		"tcp4-vlan": ipv4(x.TCP, x.Segment(80), x.EtherType8021Q),
		"tcp6-hop":  ipv6(x.HopByHop, x.Options(x.TCP, 8, x.Segment(80))),
		"arp":       x.Ethernet(x.EtherTypeARP, make([]byte, 46)),
	} {
		b.Run(name, func(b *testing.B) { x.Benchmark(b, program, frame) })
	}
}

func BenchmarkLoad(b *testing.B) { x.BenchmarkLoad(b, x.Spec(b, "flow-stats")) }
