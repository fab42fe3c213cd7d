// SPDX-License-Identifier: Apache-2.0

package ratelimit_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// On a pod's interface, with packets from two CPUs at once. In generic mode each of
// them runs the program itself; on veth natively the pair's queue stands between.
func TestRateOnAnInterface(t *testing.T) {
	testenv.KernelIndependent(t) // and a guest whose machine is busy does not send enough
	tests := []struct {
		name    string
		globals globals
		bytes   int
		pps     float64
	}{
		{"packets", globals{"pps": uint32(1000), "burst": uint32(1000)}, 64, 1000},
		{"bits", globals{"bps": uint64(6_056_000), "burst": uint32(500), "per": uint8(perPod)}, 1514, 500},
	}
	for _, mode := range []chain.Mode{chain.ModeNative, chain.ModeGeneric} {
		for _, tt := range tests {
			t.Run(mode.String()+", "+tt.name, func(t *testing.T) {
				testenv.NoLeaks(t)
				traffic := newTraffic(t, 1, 900*time.Millisecond, tt.globals)
				ns := testenv.NewNetNS(t)
				testenv.Veth(t, ns, "eth0", "peer", 1500)
				traffic.attach(t, ns, "eth0", mode)
				o := traffic.until(t, 2*time.Second, func(o outcome) {
					rest := 2*time.Second - o.LastEmpty.since(o.FirstEmpty)
					flood(t, "peer", framed(tt.bytes), 2, max(rest, 200*time.Millisecond))
				})
				o.checkRate(t, o.FirstEmpty, tt.pps)
			})
		}
	}
}

// attach holds the chain on an interface until the test ends.
func (l limitedTraffic) attach(t *testing.T, nsPath, name string, mode chain.Mode) {
	t.Helper()
	ns, err := netdev.OpenNetNS(nsPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	i, err := ns.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	link, _, err := i.AttachLink(netdev.AttachOptions{Program: l.Program, Mode: mode, Frags: l.Frags})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { link.Close() })
}

// flood sends a frame out of an interface, from several threads at once as fast as
// they can.
func flood(t *testing.T, ifname string, frame []byte, threads int, during time.Duration) {
	t.Helper()
	i, err := net.InterfaceByName(ifname)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(during)
	inParallel(t, threads, func() error { return send(i.Index, frame, end) })
}

func send(ifindex int, frame []byte, end time.Time) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a packet socket: %w", err)
	}
	defer unix.Close(fd)
	for time.Now().Before(end) {
		// ENOBUFS is a full queue at the peer.
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: ifindex}); err != nil && err != unix.ENOBUFS {
			return fmt.Errorf("sending: %w", err)
		}
	}
	return nil
}
