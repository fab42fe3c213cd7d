// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"net"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// flood sends frames to a pod, so that some are always under way, and counts what arrives, exactly: the
// kernel does, so that no receiver can be too slow.
type flood struct {
	kinds []*kind
	stop  chan struct{}
	ended chan error
}

// kind is one of the frames that the flood is made of.
type kind struct {
	name    string
	dropped bool // by a member that is in the chain all the time
	frame   []byte
	sent    int
	arrived int
	counter int // packet socket in the pod that is given these frames alone
}

// startFlood sends frames that all members pass on, and for each of the letters such
// as the member of that letter drops.
func startFlood(t *testing.T, p *plugintest.Pod, droppers ...string) *flood {
	t.Helper()
	f := &flood{stop: make(chan struct{}), ended: make(chan error, 1)}
	for _, letter := range droppers {
		f.add(t, p, "that "+letter+" drops", verdicts{letter: drop})
	}
	f.add(t, p, "that nobody drops", nil) // the last: where it is, all are
	host, err := net.InterfaceByName(p.Host)
	if err != nil {
		t.Fatal(err)
	}
	go func() { f.ended <- f.send(host.Index) }()
	return f
}

func (f *flood) add(t *testing.T, p *plugintest.Pod, name string, v verdicts) {
	t.Helper()
	m := newFrame(protocolMarked, v)
	k := &kind{name: name, dropped: v != nil, frame: m.bytes(t)}
	k.counter = tap(t, p, source(k.frame))
	f.kinds = append(f.kinds, k)
}

// count returns how many frames were given to the socket since it was last asked,
// those included for which it had no room.
func count(fd int) (int, error) {
	stats, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, err
	}
	return int(stats.Packets), nil
}

// send sends bursts until it is stopped. The veth has room for some 250 frames, and the
// pod's side may be slow, so a burst is sent when the last one is there.
func (f *flood) send(ifindex int) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const (
		burst = 16
		pause = 20 * time.Millisecond // leaves an emulated machine time for the changes
	)
	for {
		for _, k := range f.kinds {
			for range burst {
				if err := unix.Sendto(fd, k.frame, 0, &unix.SockaddrLinklayer{Ifindex: ifindex}); err != nil {
					return err
				}
				k.sent++
			}
		}
		if err := f.await(); err != nil {
			return err
		}
		select {
		case <-f.stop:
			return nil
		case <-time.After(pause):
		}
	}
}

// await waits until what nobody drops is there, or, if it is lost, for a while.
func (f *flood) await() error {
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		missing := false
		for _, k := range f.kinds {
			arrived, err := count(k.counter)
			if err != nil {
				return err
			}
			k.arrived += arrived
			missing = missing || !k.dropped && k.arrived < k.sent
		}
		if !missing {
			return nil
		}
	}
	return nil
}

// end stops the flood and fails the test if one frame was lost or came past the
// member that drops it.
func (f *flood) end(t *testing.T, p *plugintest.Pod) {
	t.Helper()
	close(f.stop)
	if err := <-f.ended; err != nil {
		t.Fatalf("flooding the pod: %v", err)
	}
	for _, k := range f.kinds {
		unix.Close(k.counter) // it would keep the pod's namespace alive
		want := k.sent
		if k.dropped {
			want = 0
		}
		t.Logf("frames %s: %d sent, %d arrived", k.name, k.sent, k.arrived)
		if k.arrived != want {
			t.Errorf("frames %s: %d arrived, want %d; the veth itself dropped %d", k.name, k.arrived, want, vethDrops(t, p))
		}
	}
}

// vethDrops is how many frames the host's end had no room for.
func vethDrops(t *testing.T, p *plugintest.Pod) (drops uint64) {
	t.Helper()
	testenv.InNetNS(t, "", func() error {
		link, err := netlink.LinkByName(p.Host)
		if err == nil {
			drops = link.Attrs().Statistics.TxDropped
		}
		return err
	})
	return drops
}
