// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// Verdicts of linux/bpf.h.
const (
	xdpDrop = 1
	xdpPass = 2
)

// program loads an XDP program that returns verdict.
func program(t testing.TB, name string, verdict int32, frags bool) *ebpf.Program {
	t.Helper()
	spec := &ebpf.ProgramSpec{
		Name: name, Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, verdict), asm.Return()},
	}
	if frags {
		testenv.NeedKernel(t, testenv.HaveFrags())
		spec.Flags = unix.BPF_F_XDP_HAS_FRAGS
	}
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		t.Fatalf("loading program %s: %v", name, err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func id(t testing.TB, p *ebpf.Program) ebpf.ProgramID {
	t.Helper()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	programID, _ := info.ID()
	return programID
}

func open(t testing.TB, path string) *NetNS {
	t.Helper()
	n, err := OpenNetNS(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func current(t testing.TB) *NetNS {
	t.Helper()
	n, err := CurrentNetNS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func byName(t testing.TB, n *NetNS, name string) *Interface {
	t.Helper()
	i, err := n.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

var pairs atomic.Int32

// pair makes a pod's veth pair: eth0 in a namespace of its own, and its peer here.
func pair(t testing.TB, mtu int) (pod, host *Interface) {
	t.Helper()
	path := testenv.NewNetNS(t)
	hostName := fmt.Sprintf("veth%d", pairs.Add(1))
	testenv.Veth(t, path, "eth0", hostName, mtu)
	return byName(t, open(t, path), "eth0"), byName(t, current(t), hostName)
}

// add makes an interface here, up, and returns it.
func add(t testing.TB, l netlink.Link) *Interface {
	t.Helper()
	if err := netlink.LinkAdd(l); err != nil {
		t.Fatalf("adding %s %s: %v", l.Type(), l.Attrs().Name, err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(l) }) // it may have gone with another
	if err := netlink.LinkSetUp(l); err != nil {
		t.Fatal(err)
	}
	return byName(t, current(t), l.Attrs().Name)
}

func attrs(name string) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name = name
	return a
}
