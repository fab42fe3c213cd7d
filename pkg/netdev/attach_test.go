// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// hold attaches by link or by netlink until the end of the test.
func hold(t testing.TB, i *Interface, by chain.Attach, o AttachOptions) (link.Link, AttachResult, error) {
	t.Helper()
	if by == chain.AttachLink {
		l, placed, err := i.AttachLink(o)
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return l, placed, err
	}
	placed, err := i.AttachNetlink(o)
	return nil, placed, err
}

func mustHold(t testing.TB, i *Interface, by chain.Attach, o AttachOptions) (link.Link, AttachResult) {
	t.Helper()
	l, placed, err := hold(t, i, by, o)
	if err != nil {
		t.Fatalf("attaching to %s by %v: %v", i.Name, by, err)
	}
	return l, placed
}

func wantAttached(t testing.TB, i *Interface, want Attached) {
	t.Helper()
	got, err := i.Attached()
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("%s carries %v, want %v", i.Name, got, want)
	}
}

var bothKinds = []chain.Attach{chain.AttachLink, chain.AttachNetlink}

func TestAttachModes(t *testing.T) {
	testenv.NoLeaks(t)
	for _, by := range bothKinds {
		for _, tc := range []struct{ asked, taken chain.Mode }{
			{chain.ModeAuto, chain.ModeNative},
			{chain.ModeNative, chain.ModeNative},
			{chain.ModeGeneric, chain.ModeGeneric},
		} {
			t.Run(by.String()+"/"+tc.asked.String(), func(t *testing.T) {
				pod, _ := pair(t, 1500)
				wantAttached(t, pod, Attached{})
				p := program(t, "drop", xdpDrop, false)
				_, placed := mustHold(t, pod, by, AttachOptions{Program: p, Mode: tc.asked})
				if want := (AttachResult{Mode: tc.taken}); placed != want {
					t.Errorf("placed %+v, want %+v", placed, want)
				}
				wantAttached(t, pod, Attached{ProgramID: id(t, p), Mode: tc.taken})
			})
		}
	}
}

func TestOffloadIsRefused(t *testing.T) {
	for _, by := range bothKinds {
		t.Run(by.String(), func(t *testing.T) {
			pod, _ := pair(t, 1500)
			_, _, err := hold(t, pod, by, AttachOptions{Program: program(t, "drop", xdpDrop, false), Mode: chain.ModeOffload})
			if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "no hardware that runs XDP") {
				t.Errorf("error %v; want ErrUnsupported that says there is no such hardware", err)
			}
			wantAttached(t, pod, Attached{})
		})
	}
}

// What has no native XDP says so, and takes the program in generic mode under auto.
func TestDriversWithoutNative(t *testing.T) {
	testenv.NoLeaks(t)
	lower := add(t, &netlink.Veth{LinkAttrs: attrs("lower"), PeerName: "lowerpeer"})
	macvlan := attrs("mv0")
	macvlan.ParentIndex = lower.Index
	interfaces := []*Interface{
		add(t, &netlink.Bridge{LinkAttrs: attrs("br0")}),
		add(t, &netlink.Ifb{LinkAttrs: attrs("ifb9")}),
		add(t, &netlink.Tuntap{LinkAttrs: attrs("tun0"), Mode: netlink.TUNTAP_MODE_TUN}),
		add(t, &netlink.Macvlan{LinkAttrs: macvlan, Mode: netlink.MACVLAN_MODE_BRIDGE}),
		byName(t, current(t), "lo"),
	}
	p := program(t, "pass", xdpPass, false)
	for _, i := range interfaces {
		for _, by := range bothKinds {
			t.Run(i.Name+"/"+by.String(), func(t *testing.T) {
				_, _, err := hold(t, i, by, AttachOptions{Program: p, Mode: chain.ModeNative})
				if !errors.Is(err, ErrUnsupported) || !errors.Is(err, unix.EOPNOTSUPP) || !strings.Contains(err.Error(), i.Kind) {
					t.Errorf("native: %v; want ErrUnsupported for EOPNOTSUPP, naming kind %s", err, i.Kind)
				}
				l, placed := mustHold(t, i, by, AttachOptions{Program: p, Mode: chain.ModeAuto})
				if placed.Mode != chain.ModeGeneric || !strings.Contains(placed.Why, "no native XDP") || err.Error() != placed.Why+byMode {
					t.Errorf("auto placed %+v; want generic, and why", placed)
				}
				takeOff(t, i, l, p, placed.Mode)
			})
		}
	}
}

func TestTapTakesNative(t *testing.T) {
	testenv.NoLeaks(t)
	tap := add(t, &netlink.Tuntap{LinkAttrs: attrs("tap0"), Mode: netlink.TUNTAP_MODE_TAP})
	p := program(t, "pass", xdpPass, false)
	l, placed := mustHold(t, tap, chain.AttachLink, AttachOptions{Program: p})
	if want := (AttachResult{Mode: chain.ModeNative}); placed != want {
		t.Errorf("placed %+v, want %+v", placed, want)
	}
	takeOff(t, tap, l, p, placed.Mode)
}

// takeOff undoes hold at once.
func takeOff(t testing.TB, i *Interface, l link.Link, p *ebpf.Program, mode chain.Mode) {
	t.Helper()
	if l != nil {
		l.Close()
	} else if err := i.DetachNetlink(p, mode); err != nil {
		t.Error(err)
	}
	wantAttached(t, i, Attached{})
}

func TestAttachToWhatIsGone(t *testing.T) {
	for _, by := range bothKinds {
		pod, host := pair(t, 1500)
		p := program(t, "drop", xdpDrop, false)
		l, placed := mustHold(t, pod, by, AttachOptions{Program: p})
		if l != nil {
			if index, err := LinkIfindex(l); err != nil || index != pod.Index {
				t.Errorf("LinkIfindex = %d, %v; want %d", index, err, pod.Index)
			}
		}
		if err := netlink.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: host.Index}}); err != nil {
			t.Fatal(err)
		}
		_, _, attach := hold(t, pod, by, AttachOptions{Program: p})
		_, query := pod.Attached()
		errs := map[string]error{"attach": attach, "query": query}
		if l != nil {
			errs["update"] = pod.UpdateLink(l, program(t, "other", xdpDrop, false), false)
			if index, err := LinkIfindex(l); err != nil || index != 0 {
				t.Errorf("LinkIfindex of a link whose interface is gone = %d, %v; want 0", index, err)
			}
		} else {
			errs["replace"] = pod.ReplaceNetlink(program(t, "other", xdpDrop, false), p, placed.Mode, false)
			errs["detach"] = pod.DetachNetlink(p, placed.Mode)
		}
		for what, err := range errs {
			if !errors.Is(err, ErrNoInterface) {
				t.Errorf("%s by %v on an interface that is gone: %v; want ErrNoInterface", what, by, err)
			}
		}
	}
}

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
			if err := pod.setXDP(foreign.FD(), noFD, modeFlags(mode)); err != nil {
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
