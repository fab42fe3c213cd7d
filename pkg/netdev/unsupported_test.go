// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// The kernel draws the line exactly where we say.
func TestMaxVethMTUIsTheKernels(t *testing.T) {
	limit := maxVethMTU(false)
	if runtime.GOARCH == "amd64" && os.Getpagesize() == 4096 && limit != 3506 {
		t.Errorf("largest MTU %d, want 3506", limit)
	}
	p := program(t, "pass", xdpPass, false)
	fits, _ := pair(t, limit)
	mustHold(t, fits, chain.AttachLink, AttachOptions{Program: p, Mode: chain.ModeNative})
	tooLarge, _ := pair(t, limit+1)
	_, _, err := hold(t, tooLarge, chain.AttachLink, AttachOptions{Program: p, Mode: chain.ModeNative})
	if mtu := new(MTUError); !errors.As(err, &mtu) {
		t.Errorf("MTU %d: %v; want an MTUError", limit+1, err)
	}
}

// byMode is what a refusal of native XDP says besides where that was asked for: under auto
// it is no advice.
const byMode = "; modes auto and generic do without native XDP"

func TestJumboFrames(t *testing.T) {
	testenv.NoLeaks(t)
	for _, by := range bothKinds {
		t.Run(by.String(), func(t *testing.T) {
			pod, host := pair(t, 9000)
			p := program(t, "pass", xdpPass, false)
			_, _, err := hold(t, pod, by, AttachOptions{Program: p, Mode: chain.ModeNative})
			var mtu *MTUError
			if !errors.As(err, &mtu) || !errors.Is(err, ErrUnsupported) {
				t.Fatalf("native without frags: %v; want an MTUError", err)
			}
			want := &MTUError{Interface: "eth0", Limiting: host.Name, MTU: 9000, Max: maxVethMTU(false)}
			if diff := cmp.Diff(want, mtu); diff != "" {
				t.Errorf("MTUError (-want +got):\n%s", diff)
			}
			l, placed := mustHold(t, pod, by, AttachOptions{Program: p, Mode: chain.ModeAuto})
			if placed.Mode != chain.ModeGeneric || err.Error() != placed.Why+byMode {
				t.Errorf("auto placed %+v; want generic because %v", placed, err)
			}
			takeOff(t, pod, l, p, chain.ModeGeneric)

			frags := program(t, "frags", xdpPass, true)
			l, placed = mustHold(t, pod, by, AttachOptions{Program: frags, Mode: chain.ModeAuto, Frags: true})
			if want := (AttachResult{Mode: chain.ModeNative}); placed != want {
				t.Errorf("auto with frags placed %+v, want %+v", placed, want)
			}
			// A swap for a program without frags is refused and leaves the old one.
			if l != nil {
				err = pod.UpdateLink(l, p, false)
			} else {
				err = pod.ReplaceNetlink(p, frags, chain.ModeNative, false)
			}
			if !errors.As(err, &mtu) || strings.HasSuffix(err.Error(), byMode) { // which a swap cannot change
				t.Errorf("swap for a program without frags: %v; want an MTUError that advises no mode", err)
			}
			wantAttached(t, pod, Attached{ProgramID: id(t, frags), Mode: chain.ModeNative})
		})
	}
}

// It is the peer's MTU that counts, and the peer may be in any namespace.
func TestMTUOfThePeer(t *testing.T) {
	pod, host := pair(t, 1500)
	if err := netlink.LinkSetMTU(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: host.Index}}, 9000); err != nil {
		t.Fatal(err)
	}
	p := program(t, "pass", xdpPass, false)
	_, _, err := hold(t, pod, chain.AttachNetlink, AttachOptions{Program: p, Mode: chain.ModeNative})
	for _, figure := range []string{"9000", "3506", host.Name + ", the peer of eth0", `SEC("xdp.frags")`} {
		if err == nil || !strings.Contains(err.Error(), figure) {
			t.Errorf("error %v does not name %s", err, figure)
		}
	}
	mustHold(t, host, chain.AttachNetlink, AttachOptions{Program: p, Mode: chain.ModeNative})
}

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
