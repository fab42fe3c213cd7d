// SPDX-License-Identifier: Apache-2.0

package testenv_test

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestSendReachesThePeersXDPProgram(t *testing.T) {
	testenv.NoLeaks(t)
	ns := testenv.NewNetNS(t)
	testenv.Veth(t, ns, "eth0", "host0", 1400)
	counter := attachCounter(t, ns, "eth0")
	frame := make([]byte, 64)
	testenv.Send(t, "", "host0", frame, frame, frame)
	var seen uint64
	for deadline := time.Now().Add(time.Second); seen != 3 && time.Now().Before(deadline); {
		if err := counter.Lookup(uint32(0), &seen); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(50 * time.Millisecond) // nothing else may arrive
	if err := counter.Lookup(uint32(0), &seen); err != nil {
		t.Fatal(err)
	}
	if seen != 3 {
		t.Errorf("the peer's program saw %d packets, want 3", seen)
	}
	testenv.InNetNS(t, ns, func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err == nil && eth0.MTU != 1400 {
			t.Errorf("MTU %d, want 1400", eth0.MTU)
		}
		return err
	})
}

func TestRemoveNetNSTwice(t *testing.T) {
	testenv.NoLeaks(t)
	ns := testenv.NewNetNS(t)
	testenv.RemoveNetNS(t, ns)
	testenv.RemoveNetNS(t, ns)
	if diff := cmp.Diff([]string(nil), glob(t, "/run/netns/*")); diff != "" {
		t.Errorf("named namespaces (-want +got):\n%s", diff)
	}
}

// What ends the test in another namespace ends it, and does not wait for ever.
func TestInNetNSEndsTheTest(t *testing.T) {
	var inside *testing.T
	wentOn := false
	t.Run("skipped inside", func(t *testing.T) {
		inside = t
		testenv.InNetNS(t, "", func() error {
			t.Skip("as the test wants it")
			return nil
		})
		wentOn = true
	})
	if !inside.Skipped() || wentOn {
		t.Errorf("skipped: %t, went on: %t", inside.Skipped(), wentOn)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// attachCounter attaches a program that counts packets and drops them.
func attachCounter(t *testing.T, ns, ifname string) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "seen", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "counter", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{
			asm.LoadMapValue(asm.R1, m.FD(), 0),
			asm.Mov.Imm(asm.R2, 1),
			asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
			asm.Mov.Imm(asm.R0, 1),
			asm.Return(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	testenv.InNetNS(t, ns, func() error {
		iface, err := net.InterfaceByName(ifname)
		if err != nil {
			return err
		}
		l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: iface.Index, Flags: link.XDPDriverMode})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	})
	return m
}
