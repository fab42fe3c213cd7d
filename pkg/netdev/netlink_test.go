// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Swap and detach by netlink touch the expected program and no other.
func TestNetlinkChangesOnlyWhatIsExpected(t *testing.T) {
	testenv.NoLeaks(t)
	for _, mode := range []chain.Mode{chain.ModeNative, chain.ModeGeneric} {
		t.Run(mode.String(), func(t *testing.T) {
			pod, _ := pair(t, 1500)
			first, second, foreign := program(t, "first", xdpDrop, false), program(t, "second", xdpDrop, false), program(t, "foreign", xdpPass, false)
			mustHold(t, pod, chain.AttachNetlink, AttachOptions{Program: first, Mode: mode})

			if err := pod.ReplaceNetlink(second, first, mode, false); err != nil {
				t.Fatal(err)
			}
			wantAttached(t, pod, Attached{ProgramID: id(t, second), Mode: mode})

			// Somebody with CAP_NET_ADMIN in the pod puts his own in place of ours.
			if err := pod.changeNetlink(foreign.FD(), noFD, modeFlags(mode)); err != nil {
				t.Fatal(err)
			}
			his := Attached{ProgramID: id(t, foreign), Name: "foreign", Mode: mode, Attach: chain.AttachNetlink}
			wantBusy(t, pod.ReplaceNetlink(first, second, mode, false), his)
			wantBusy(t, pod.DetachNetlink(second, mode), his)
			wantAttached(t, pod, Attached{ProgramID: his.ProgramID, Mode: mode})

			takeOff(t, pod, nil, foreign, mode)
			if err := pod.ReplaceNetlink(first, second, mode, false); !errors.Is(err, ErrNotAttached) {
				t.Errorf("swap where nothing is attached: %v; want ErrNotAttached", err)
			}
			if err := pod.DetachNetlink(second, mode); err != nil {
				t.Errorf("detach where nothing is attached: %v", err)
			}
			wantAttached(t, pod, Attached{})
		})
	}
}

// A program on an interface on top makes the kernel refuse changes by netlink. That is told
// from somebody having been faster, and nothing is changed; a bpf_link is swapped all the same.
func TestCoveredFromAbove(t *testing.T) {
	for name, top := range map[string]func(t *testing.T, i *Interface) *Interface{
		"br0": func(t *testing.T, i *Interface) *Interface {
			bridge := add(t, &netlink.Bridge{LinkAttrs: attrs("br0")})
			if err := netlink.LinkSetMasterByIndex(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: i.Index}}, bridge.Index); err != nil {
				t.Fatal(err)
			}
			return bridge
		},
		"mv0": func(t *testing.T, i *Interface) *Interface {
			mv0 := attrs("mv0")
			mv0.ParentIndex = i.Index
			return add(t, &netlink.Macvlan{LinkAttrs: mv0, Mode: netlink.MACVLAN_MODE_BRIDGE})
		},
	} {
		for _, by := range bothKinds {
			t.Run(fmt.Sprintf("%s over %v", name, by), func(t *testing.T) {
				testenv.NoLeaks(t)
				_, host := pair(t, 1500)
				first, second := program(t, "first", xdpDrop, false), program(t, "second", xdpDrop, false)
				l, _ := mustHold(t, host, by, AttachOptions{Program: first, Mode: chain.ModeNative})
				above := program(t, "above", xdpPass, false)
				mustHold(t, top(t, host), chain.AttachNetlink, AttachOptions{Program: above, Mode: chain.ModeGeneric})
				port := byName(t, host.NetNS, host.Name)
				if by == chain.AttachLink {
					if err := port.UpdateLink(l, second, false); err != nil {
						t.Error(err)
					}
					return
				}
				err := port.ReplaceNetlink(second, first, chain.ModeNative, false)
				if err == nil { // before 5.15 it takes both
					testenv.NeedKernel(t, fmt.Errorf("one program for an interface and those on top: %w", ebpf.ErrNotSupported))
				}
				for _, err := range []error{err, port.DetachNetlink(first, chain.ModeNative)} {
					if !errors.Is(err, ErrCovered) || !errors.Is(err, ErrBusy) {
						t.Errorf("error %v; want ErrCovered, which is ErrBusy", err)
					}
					if name == "br0" && !strings.Contains(err.Error(), "port of br0") {
						t.Errorf("error %q does not name the bridge", err)
					}
				}
				wantAttached(t, port, Attached{ProgramID: id(t, first), Mode: chain.ModeNative})
			})
		}
	}
}

// A foreign program in the other mode is not taken for ours, nor ours put beside it.
func TestNetlinkForeignInTheOtherMode(t *testing.T) {
	pod, _ := pair(t, 1500)
	ours, foreign := program(t, "ours", xdpDrop, false), program(t, "foreign", xdpPass, false)
	mustHold(t, pod, chain.AttachNetlink, AttachOptions{Program: foreign, Mode: chain.ModeGeneric})
	his := Attached{ProgramID: id(t, foreign), Name: "foreign", Mode: chain.ModeGeneric, Attach: chain.AttachNetlink}
	wantBusy(t, pod.ReplaceNetlink(ours, ours, chain.ModeNative, false), his)
	wantBusy(t, pod.DetachNetlink(ours, chain.ModeNative), his)
	wantAttached(t, pod, Attached{ProgramID: his.ProgramID, Mode: chain.ModeGeneric})
}
