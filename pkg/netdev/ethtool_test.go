// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func wantGRO(t testing.TB, i *Interface, want bool) {
	t.Helper()
	if on, err := i.GRO(); on != want || err != nil {
		t.Errorf("GRO of %s: %v, %v; want %v", i.Name, on, err, want)
	}
}

func setGRO(t testing.TB, i *Interface, on bool) {
	t.Helper()
	if err := i.SetGRO(on); err != nil {
		t.Fatal(err)
	}
	wantGRO(t, i, on)
}

// Either end of a pair has its own, in whichever namespace.
func TestGRO(t *testing.T) {
	pod, host := pair(t, 1500)
	for _, end := range []struct{ this, other *Interface }{{pod, host}, {host, pod}} {
		before, err := end.other.GRO()
		if err != nil {
			t.Fatal(err)
		}
		for _, on := range []bool{true, false, false, true} {
			setGRO(t, end.this, on)
			wantGRO(t, end.other, before)
			if active := isActive(t, end.this); active != on {
				t.Errorf("GRO of %s is active: %v, want %v", end.this.Name, active, on)
			}
		}
	}
	// The interface is known by its index, whatever its name.
	if err := netlink.LinkSetDown(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: host.Index}}); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetName(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: host.Index}}, host.Name+"x"); err != nil {
		t.Fatal(err)
	}
	setGRO(t, host, false)
}

// isActive tells what the kernel made of what was asked for.
func isActive(t testing.TB, i *Interface) bool {
	t.Helper()
	answers, err := i.ethtool(unix.ETHTOOL_MSG_FEATURES_GET, 0)
	if err != nil || len(answers) == 0 {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	active, err := attribute(answers[0], unix.ETHTOOL_A_FEATURES_ACTIVE)
	if err != nil {
		t.Fatal(err)
	}
	on, err := hasBit(active, groFeature)
	if err != nil {
		t.Fatal(err)
	}
	return on
}

func TestGROOfWhatIsGone(t *testing.T) {
	_, host := pair(t, 1500)
	if err := netlink.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: host.Index}}); err != nil {
		t.Fatal(err)
	}
	if _, err := host.GRO(); !errors.Is(err, ErrNoInterface) {
		t.Errorf("asking: %v; want ErrNoInterface", err)
	}
	if err := host.SetGRO(true); !errors.Is(err, ErrNoInterface) {
		t.Errorf("changing: %v; want ErrNoInterface", err)
	}
}

// Kernels up to 6.8 turn GRO on with a native program, and off with it, if nobody asked
// for it; what was asked for stays.
func TestGROBesideNativeXDP(t *testing.T) {
	pod, _ := pair(t, 1500)
	setGRO(t, pod, false)
	p := program(t, "pass", xdpPass, false)
	l, _ := mustHold(t, pod, chain.AttachLink, AttachOptions{Program: p, Mode: chain.ModeNative})
	wantGRO(t, pod, false)
	setGRO(t, pod, true)
	takeOff(t, pod, l, p, chain.ModeNative)
	wantGRO(t, pod, true)
}

// sendBack loads a program that sends every frame back, by XDP_TX or by a redirect to
// the interface that it came from.
func sendBack(t testing.TB, byRedirect bool) *ebpf.Program {
	t.Helper()
	insns := asm.Instructions{asm.Mov.Imm(asm.R0, 3), asm.Return()} // XDP_TX of linux/bpf.h
	if byRedirect {
		insns = asm.Instructions{
			asm.LoadMem(asm.R1, asm.R1, 12, asm.Word), // ingress_ifindex of struct xdp_md
			asm.Mov.Imm(asm.R2, 0),
			asm.FnRedirect.Call(),
			asm.Return(),
		}
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "send_back", Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL", Instructions: insns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// What a veth needs to take frames that its other end sends back. (GRO is not among it:
// that it does not do for XDP_TX is no promise of the kernel's.)
func TestWhatSendingBackNeeds(t *testing.T) {
	nothing := func(*testing.T, *Interface) {}
	pass := func(mode chain.Mode) func(t *testing.T, other *Interface) {
		return func(t *testing.T, other *Interface) {
			mustHold(t, other, chain.AttachLink, AttachOptions{Program: program(t, "pass", xdpPass, false), Mode: mode})
		}
	}
	gro := func(t *testing.T, other *Interface) { setGRO(t, other, true) }
	for _, tt := range []struct {
		name         string
		mode         chain.Mode
		prepare      func(t *testing.T, other *Interface)
		tx, redirect bool // whether frames arrive
	}{
		{"nothing", chain.ModeNative, nothing, false, false},
		{"native XDP", chain.ModeNative, pass(chain.ModeNative), true, true},
		{"native XDP and GRO", chain.ModeNative, func(t *testing.T, other *Interface) {
			gro(t, other)
			pass(chain.ModeNative)(t, other)
		}, true, true},
		{"generic XDP", chain.ModeNative, pass(chain.ModeGeneric), false, false},
		{"nothing in generic mode", chain.ModeGeneric, nothing, true, true},
	} {
		for _, byRedirect := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, by redirect %t", tt.name, byRedirect), func(t *testing.T) {
				pod, host := pair(t, 1500)
				setGRO(t, host, false)
				mustHold(t, pod, chain.AttachLink, AttachOptions{Program: sendBack(t, byRedirect), Mode: tt.mode})
				tt.prepare(t, host)
				wantBack(t, host, byRedirect && tt.redirect || !byRedirect && tt.tx)
			})
		}
	}
}

func TestGROTakesWhatIsRedirected(t *testing.T) {
	testenv.NeedKernel(t, HaveGROPolling())
	pod, host := pair(t, 1500)
	mustHold(t, pod, chain.AttachLink, AttachOptions{Program: sendBack(t, true), Mode: chain.ModeNative})
	for _, on := range []bool{false, true, false} {
		setGRO(t, host, on)
		wantBack(t, host, on)
	}
}

// wantBack sends frames out of an interface and wants all or none to come back.
func wantBack(t *testing.T, i *Interface, want bool) {
	t.Helper()
	arrived := listen(t, i)
	frame := slices.Concat([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, floodEtherType >> 8, floodEtherType & 0xff}, make([]byte, 50))
	for range 10 {
		testenv.Send(t, "", i.Name, frame)
	}
	if want {
		waitFor(t, "the frames to come back", func() bool { return arrived() == 10 })
	} else if time.Sleep(100 * time.Millisecond); arrived() != 0 {
		t.Errorf("%d frames came back, want none", arrived())
	}
}
