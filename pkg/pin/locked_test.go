// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
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

func TestNodeMapsAreShared(t *testing.T) {
	ensure(t)
	const network = "k8s.pod-network"
	n, err := tree.LockNode(t.Context(), network)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Open("flows"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open before Pin: %v; want fs.ErrNotExist", err)
	}
	flows := newMap(t, "flows")
	if err := n.Pin("flows", flows); err != nil {
		t.Fatal(err)
	}
	if flows.IsPinned() {
		t.Error("the map that was given knows of the pin")
	}
	if err := n.Pin("flows", newMap(t, "flows")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Pin: %v; want fs.ErrExist", err)
	}
	if err := n.Unlock(); err != nil {
		t.Fatal(err)
	}

	if n, err = tree.LockNode(t.Context(), network); err != nil {
		t.Fatal(err)
	}
	shared, err := n.Open("flows")
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	if got, want := mapID(t, shared), mapID(t, flows); got != want {
		t.Errorf("opened map %d, want %d", got, want)
	}
	for path, mode := range listTree(t, filepath.Join(tree.Root, "xdp-chain/node")) {
		if mode != fs.ModeDir|0o700 && mode != 0o600 {
			t.Errorf("%s: mode %v", path, mode)
		}
	}
	if networks, err := tree.Networks(); !slices.Equal(networks, []string{network}) {
		t.Errorf("networks %q, %v; want %q", networks, err, network)
	}
	if err := n.Remove(); err != nil {
		t.Fatal(err)
	}
	if networks, err := tree.Networks(); len(networks) != 0 || err != nil {
		t.Errorf("networks %q, %v; want none", networks, err)
	}
}

func TestLockNodeNamesTheNetwork(t *testing.T) {
	ensure(t)
	n, err := tree.LockNode(t.Context(), "podnet")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Unlock()
	other, err := tree.LockNode(t.Context(), "othernet")
	if err != nil {
		t.Fatal("waits for another network:", err)
	}
	defer other.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = tree.LockNode(ctx, "podnet")
	var locked *pin.LockedError
	if !errors.As(err, &locked) || locked.What != `maps of network "podnet"` || !strings.Contains(err.Error(), "podnet") {
		t.Errorf("%v; want a LockedError that names the network", err)
	}
}

func TestLockNodeRefusesNames(t *testing.T) {
	for _, network := range []string{"", "../chains", "a/b", strings.Repeat("n", 300)} {
		if _, err := tree.LockNode(t.Context(), network); !errors.Is(err, chain.ErrInvalid) {
			t.Errorf("network %.20q: %v; want chain.ErrInvalid", network, err)
		}
	}
}

func TestUnpinTakesOneMapBack(t *testing.T) {
	ensure(t)
	n, err := tree.LockNode(t.Context(), "podnet")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"acl.rules", "flows"} {
		if err := n.Pin(name, newMap(t, "m")); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := n.Unpin("acl.rules"); err != nil {
			t.Error(err)
		}
	}
	if _, err := n.Open("acl.rules"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open after Unpin: %v; want fs.ErrNotExist", err)
	}
	if m, err := n.Open("flows"); err != nil {
		t.Error(err)
	} else {
		m.Close()
	}
	if err := n.Remove(); err != nil {
		t.Error(err)
	}
}

func TestNodeBusyAndLibxdpCookies(t *testing.T) {
	ensure(t)
	l, err := tree.LockNode(t.Context(), "pod.net")
	if err != nil {
		t.Fatal(err)
	}
	for network, want := range map[string]bool{"pod.net": true, "other": false, "": false} {
		if got, err := tree.NodeBusy(network); got != want || err != nil {
			t.Errorf("network %q is busy: %v, %v; want %v", network, got, err, want)
		}
	}
	if err := l.Remove(); err != nil {
		t.Fatal(err)
	}
	x, err := tree.Libxdp(4097).Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tree.LibxdpCookies(); !cmp.Equal(got, []uint64{4097}) || err != nil {
		t.Errorf("namespaces with a tree are %v, %v", got, err)
	}
	if err := x.Unlock(); err != nil {
		t.Fatal(err)
	}
}
