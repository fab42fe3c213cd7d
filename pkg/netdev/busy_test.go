// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"
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
