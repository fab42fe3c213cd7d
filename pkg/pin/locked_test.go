// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// attach puts a program that passes everything on lo.
func attach(t *testing.T) link.Link {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "pass", Type: ebpf.XDP, License: "Apache-2.0",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	k, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: loopback(t).Attrs().Index, Flags: link.XDPGenericMode})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func loopback(t *testing.T) netlink.Link {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	return lo
}

// attached tells whether lo has a program; the kernel takes one off some time
// after its last reference.
func attached(t *testing.T, want bool) bool {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		xdp := loopback(t).Attrs().Xdp
		if is := xdp != nil && xdp.Attached; is == want || time.Now().After(deadline) {
			return is
		}
	}
}

func linkID(t *testing.T, k link.Link) link.ID {
	t.Helper()
	info, err := k.Info()
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

func TestPinnedLinkHoldsTheChain(t *testing.T) {
	ensure(t)
	l := lockForTest(t, key)
	if _, err := l.OpenLink(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenLink before PinLink: %v; want fs.ErrNotExist", err)
	}
	k := attach(t)
	want := linkID(t, k)
	if err := l.PinLink(k); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() (link.Link, error){
		"with the lock":    l.OpenLink,
		"without the lock": func() (link.Link, error) { return tree.OpenLink(key) },
	} {
		opened, err := open()
		if err != nil {
			t.Fatal(name, err)
		}
		if got := linkID(t, opened); got != want {
			t.Errorf("%s: opened link %d, want %d", name, got, want)
		}
		opened.Close()
	}
	if !attached(t, true) {
		t.Error("the chain came off while its link was pinned")
	}
	if err := l.Clear(); err != nil {
		t.Fatal(err)
	}
	if attached(t, false) {
		t.Error("Clear left the chain on the interface")
	}
}

func TestPinLinkReplacesADeadLink(t *testing.T) {
	ensure(t)
	l := lockForTest(t, key)
	dead := attach(t)
	if err := l.PinLink(dead); err != nil {
		t.Fatal(err)
	}
	if err := dead.Detach(); err != nil {
		t.Fatal(err)
	}
	dead.Close()
	k := attach(t)
	want := linkID(t, k)
	if err := l.PinLink(k); err != nil {
		t.Fatal(err)
	}
	k.Close()
	opened, err := l.OpenLink()
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if got := linkID(t, opened); got != want {
		t.Errorf("opened link %d, want %d", got, want)
	}
}

func TestClearKeepsTheLock(t *testing.T) {
	ensure(t)
	l := lockForTest(t, key)
	k := attach(t)
	if err := l.PinLink(k); err != nil {
		t.Fatal(err)
	}
	k.Close()
	first, second := twoGenerations(t)
	finalize(t, l, 1, first)
	if err := l.Stage(2, second.counters, second.maps, second.links); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Clear(); err != nil {
			t.Fatal(err)
		}
		if left := listTree(t, chainFolder()); len(left) != 0 {
			t.Errorf("left in the chain's folder: %v", left)
		}
		if _, err := tree.TryLock(key); !errors.Is(err, pin.ErrLocked) {
			t.Errorf("TryLock after Clear: %v; want ErrLocked", err)
		}
	}
	if attached(t, false) {
		t.Error("Clear left the chain on the interface")
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	if keys, err := tree.Keys(); len(keys) != 0 || err != nil {
		t.Errorf("keys: %v, %v; want none", keys, err)
	}
}

func TestBusyAndUnfinishedPins(t *testing.T) {
	ensure(t)
	look := func(wantBusy, wantUnfinished bool) {
		t.Helper()
		if got, err := tree.Busy(key); got != wantBusy || err != nil {
			t.Errorf("busy is %v, %v; want %v", got, err, wantBusy)
		}
		if got, err := tree.HasUnfinishedPins(key); got != wantUnfinished || err != nil {
			t.Errorf("unfinished is %v, %v; want %v", got, err, wantUnfinished)
		}
	}
	look(false, false) // no folder
	folder := filepath.Join(tree.Root, "xdp-chain/chains", key.String())
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	look(false, false)
	if _, err := os.Stat(folder); err != nil {
		t.Errorf("a look has removed the empty folder: %v", err)
	}
	l := lockForTest(t, key)
	look(true, false)
	if err := l.Stage(1, newMap(t, "counters"), nil, nil); err != nil {
		t.Fatal(err)
	}
	look(true, true)
	if err := l.FinalizePins(1); err != nil {
		t.Fatal(err)
	}
	look(true, false)
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	look(false, false)
}
