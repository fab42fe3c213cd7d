// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestTooFewQueues(t *testing.T) {
	for name, elsewhere := range map[string]bool{"same namespace": false, "pod's namespace": true} {
		t.Run(name, func(t *testing.T) {
			in := current(t)
			veth := &netlink.Veth{LinkAttrs: attrs("many"), PeerName: "few", PeerNumTxQueues: 1, PeerNumRxQueues: 2}
			veth.NumTxQueues, veth.NumRxQueues = 4, 1
			if elsewhere {
				in = open(t, testenv.NewNetNS(t))
				veth.PeerNamespace = netlink.NsFd(int(in.handle.Fd()))
			}
			add(t, veth)
			few := byName(t, in, "few")
			p := program(t, "pass", xdpPass, false)
			_, _, err := hold(t, few, chain.AttachLink, AttachOptions{Program: p, Mode: chain.ModeNative})
			var queues *QueueError
			if !errors.As(err, &queues) || !errors.Is(err, ErrUnsupported) {
				t.Fatalf("native: %v; want a QueueError", err)
			}
			want := &QueueError{Interface: "few", RxQueues: 2, PeerTxQueues: 4}
			if _, err := few.channels(); errors.Is(err, unix.EOPNOTSUPP) { // before 5.13
				want = &QueueError{Interface: "few"}
			}
			if diff := cmp.Diff(want, queues); diff != "" {
				t.Errorf("QueueError (-want +got):\n%s", diff)
			}
			_, placed := mustHold(t, few, chain.AttachLink, AttachOptions{Program: p})
			if placed.Mode != chain.ModeGeneric || err.Error() != placed.Why+byMode {
				t.Errorf("auto placed %+v; want generic because %v", placed, err)
			}
		})
	}
}
