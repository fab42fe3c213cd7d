// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"testing"

	"github.com/cilium/ebpf/link"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// What an ADD for both sides spends in this package besides the attach itself.
func BenchmarkLookUp(b *testing.B) {
	pod, host := pair(b, 1500)
	for b.Loop() {
		ours, err := CurrentNetNS()
		if err != nil {
			b.Fatal(err)
		}
		in, err := OpenNetNS(pod.NetNS.Path())
		if err != nil {
			b.Fatal(err)
		}
		i, err := in.InterfaceByName("eth0")
		if err != nil {
			b.Fatal(err)
		}
		peer, err := i.Peer(ours)
		if err != nil || peer.Index != host.Index {
			b.Fatal(peer, err)
		}
		for _, side := range []*Interface{i, peer} {
			if a, err := side.Attached(); err != nil || a.ProgramID != 0 {
				b.Fatal(a, err)
			}
		}
		in.Close()
		ours.Close()
	}
}

func BenchmarkAttachLink(b *testing.B) {
	pod, _ := pair(b, 1500)
	p := program(b, "pass", xdpPass, false)
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			l, _, err := pod.AttachLink(AttachOptions{Program: p, Mode: chain.ModeNative})
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			l.Close()
			b.StartTimer()
		}
	})
	b.Run("bare", func(b *testing.B) {
		err := pod.NetNS.Do(func() error {
			for b.Loop() {
				l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: pod.Index, Flags: link.XDPDriverMode})
				if err != nil {
					return err
				}
				b.StopTimer()
				l.Close()
				b.StartTimer()
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	})
}
