// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Whoever holds the hook, and in whichever mode, a first attach in any mode is refused
// with his name and leaves him alone.
func TestBusyNamesTheHolder(t *testing.T) {
	testenv.NoLeaks(t)
	for _, holder := range bothKinds {
		for _, held := range []chain.Mode{chain.ModeNative, chain.ModeGeneric} {
			pod, _ := pair(t, 1500)
			foreign := program(t, "foreign", xdpPass, false)
			l, _ := mustHold(t, pod, holder, AttachOptions{Program: foreign, Mode: held})
			want := Attached{ProgramID: id(t, foreign), Name: "foreign", Mode: held, Attach: holder}
			if l != nil {
				want.LinkID = linkID(t, l)
			}
			for _, by := range bothKinds {
				for _, asked := range []chain.Mode{chain.ModeAuto, chain.ModeNative, chain.ModeGeneric} {
					t.Run(fmt.Sprintf("%v %v against %v %v", by, asked, holder, held), func(t *testing.T) {
						_, _, err := hold(t, pod, by, AttachOptions{Program: program(t, "ours", xdpDrop, false), Mode: asked})
						wantBusy(t, err, want)
						wantAttached(t, pod, Attached{ProgramID: want.ProgramID, Mode: held})
					})
				}
			}
		}
	}
}

func linkID(t testing.TB, l link.Link) link.ID {
	t.Helper()
	info, err := l.Info()
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

func wantBusy(t testing.TB, err error, want Attached) {
	t.Helper()
	var busy *BusyError
	if !errors.As(err, &busy) || !errors.Is(err, ErrBusy) {
		t.Fatalf("error %v; want a BusyError", err)
	}
	if diff := cmp.Diff(want, busy.Holder); diff != "" {
		t.Errorf("holder (-want +got):\n%s", diff)
	}
	says := []string{want.Name, fmt.Sprint(want.ProgramID), want.Mode.String(), "ip link set dev " + busy.On}
	if want.LinkID != 0 {
		says[3] = fmt.Sprintf("bpftool link detach id %d", want.LinkID)
	}
	for _, word := range says {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

// The kernel refuses a port of a bridge that carries a program; that one is named.
func TestBusyByTheBridgeAbove(t *testing.T) {
	testenv.NoLeaks(t)
	bridge := add(t, &netlink.Bridge{LinkAttrs: attrs("br0")})
	foreign := program(t, "onbridge", xdpPass, false)
	mustHold(t, bridge, chain.AttachNetlink, AttachOptions{Program: foreign, Mode: chain.ModeGeneric})
	_, host := pair(t, 1500)
	if err := netlink.LinkSetMasterByIndex(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: host.Index}}, bridge.Index); err != nil {
		t.Fatal(err)
	}
	port := byName(t, host.NetNS, host.Name)
	_, _, err := hold(t, port, chain.AttachLink, AttachOptions{Program: program(t, "ours", xdpDrop, false)})
	if err == nil { // before 5.15 it takes both
		testenv.NeedKernel(t, fmt.Errorf("one program for a bridge and its ports: %w", ebpf.ErrNotSupported))
	}
	wantBusy(t, err, Attached{ProgramID: id(t, foreign), Name: "onbridge", Mode: chain.ModeGeneric, Attach: chain.AttachNetlink})
	if !strings.Contains(err.Error(), "port of br0") {
		t.Errorf("error %q does not say that it is the bridge", err)
	}
}

// The same program on the same index of two namespaces: the links cannot be told apart,
// so none is named.
func TestHolderDoesNotGuess(t *testing.T) {
	foreign := program(t, "foreign", xdpPass, false)
	first, _ := pair(t, 1500)
	second, _ := pair(t, 1500)
	if first.Index != second.Index {
		t.Fatalf("indices %d and %d; the test needs them equal", first.Index, second.Index)
	}
	mustHold(t, first, chain.AttachLink, AttachOptions{Program: foreign})
	l, _ := mustHold(t, second, chain.AttachLink, AttachOptions{Program: foreign})
	want := Attached{ProgramID: id(t, foreign), Name: "foreign", Mode: chain.ModeNative, Attach: chain.AttachLink}
	if got, err := first.Holder(); err != nil || got != want {
		t.Errorf("holder %+v, %v; want %+v", got, err, want)
	}
	takeOff(t, second, l, foreign, chain.ModeNative)
	mustHold(t, second, chain.AttachNetlink, AttachOptions{Program: foreign})
	want.Attach = chain.AttachNetlink
	if got, err := second.Holder(); err != nil || got != want {
		t.Errorf("holder %+v, %v; want %+v", got, err, want)
	}
}

// While a bpf_link holds the hook, nobody in the pod can change it by netlink.
func TestLinkWithstandsNetlink(t *testing.T) {
	pod, _ := pair(t, 1500)
	ours, foreign := program(t, "ours", xdpDrop, false), program(t, "foreign", xdpPass, false)
	for _, mode := range []chain.Mode{chain.ModeNative, chain.ModeGeneric} {
		l, _ := mustHold(t, pod, chain.AttachLink, AttachOptions{Program: ours, Mode: mode})
		for name, err := range map[string]error{
			"plain set":              pod.setXDP(foreign.FD(), noFD, modeFlags(mode)),
			"plain removal":          pod.setXDP(noFD, noFD, modeFlags(mode)),
			"replacement, expecting": pod.setXDP(foreign.FD(), ours.FD(), modeFlags(mode)),
			"removal, expecting":     pod.setXDP(noFD, ours.FD(), modeFlags(mode)),
		} {
			if !errors.Is(err, unix.EBUSY) {
				t.Errorf("%s in %v mode: %v; want EBUSY", name, mode, err)
			}
		}
		wantAttached(t, pod, Attached{ProgramID: id(t, ours), Mode: mode})
		takeOff(t, pod, l, ours, mode)
	}
}

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
			if _, err := few.queues(unix.ETHTOOL_A_CHANNELS_RX_COUNT); errors.Is(err, unix.EOPNOTSUPP) { // before 5.13
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
