// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

var (
	podTree = tree.Libxdp(key.Cookie)
	// dispatch stands for a dispatcher: its pins are by number alone.
	dispatch = pin.Dispatch{Ifindex: 3, ID: 117}
)

// newSlot makes a program and a link of it. The link is one of the kind that a
// namespace can have many of; extensions need a kernel with trampolines, and a pin
// is a pin.
func newSlot(t *testing.T) pin.Slot {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "member", Type: ebpf.SkLookup, AttachType: ebpf.AttachSkLookup, License: "Apache-2.0",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	k, err := link.AttachNetNs(int(ns.Fd()), prog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return pin.Slot{Program: prog, Link: k}
}

func newSlots(t *testing.T, n int) []pin.Slot {
	t.Helper()
	slots := make([]pin.Slot, n)
	for i := range slots {
		slots[i] = newSlot(t)
	}
	return slots
}

func programID(t *testing.T, p *ebpf.Program) ebpf.ProgramID {
	t.Helper()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, ok := info.ID()
	if !ok {
		t.Fatal("the kernel does not tell program ids")
	}
	return id
}

// lockLibxdp locks a tree for the test, and empties it when the test ends.
func lockLibxdp(t *testing.T, x pin.Libxdp) *pin.LibxdpLocked {
	t.Helper()
	l, err := x.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Unlock(); err != nil {
			t.Error(err)
		}
		l, err := x.LockExisting(context.Background())
		if err == nil {
			err = empty(x, l)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	return l
}

// empty removes everything that is pinned in a tree and gives its lock up.
func empty(x pin.Libxdp, l *pin.LibxdpLocked) error {
	all, err := x.Dispatches()
	if err != nil {
		return err
	}
	for _, d := range all {
		if err := l.Unpin(d); err != nil {
			return err
		}
	}
	return l.Unlock()
}

// checkDispatches compares which dispatchers have pins.
func checkDispatches(t *testing.T, x pin.Libxdp, want ...pin.Dispatch) {
	t.Helper()
	got, err := x.Dispatches()
	if err != nil {
		t.Error(err)
	}
	byID := cmpopts.SortSlices(func(a, b pin.Dispatch) bool { return a.ID < b.ID })
	if diff := cmp.Diff(want, got, byID); diff != "" {
		t.Errorf("dispatchers (-want +got):\n%s", diff)
	}
}

// checkSlots compares what is pinned of the dispatcher with slots, name by name as
// libxdp would look for it.
func checkSlots(t *testing.T, x pin.Libxdp, want []pin.Slot) {
	t.Helper()
	folder := filepath.Join(x.BPFFS(), "xdp/dispatch-3-117")
	names := make(map[string]fs.FileMode)
	for i, slot := range want {
		linkName, programName := fmt.Sprintf("prog%d-link", i), fmt.Sprintf("prog%d-prog", i)
		names[linkName], names[programName] = 0o600, 0o600
		k, err := link.LoadPinnedLink(filepath.Join(folder, linkName), nil)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, want := linkID(t, k), linkID(t, slot.Link); got != want {
			t.Errorf("%s: link %d, want %d", linkName, got, want)
		}
		k.Close()
		p, err := ebpf.LoadPinnedProgram(filepath.Join(folder, programName), nil)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, want := programID(t, p), programID(t, slot.Program); got != want {
			t.Errorf("%s: program %d, want %d", programName, got, want)
		}
		p.Close()
	}
	if diff := cmp.Diff(names, listTree(t, folder)); diff != "" {
		t.Errorf("the dispatcher's folder (-want +got):\n%s", diff)
	}
}

func TestPinAsLibxdpDoes(t *testing.T) {
	ensure(t)
	for name, x := range map[string]pin.Libxdp{"pod": podTree, "host": tree.HostLibxdp()} {
		t.Run(name, func(t *testing.T) {
			l := lockLibxdp(t, x)
			slots := newSlots(t, 10)
			if err := l.Pin(dispatch, slots); err != nil {
				t.Fatal(err)
			}
			checkSlots(t, x, slots)
			checkDispatches(t, x, dispatch)
			for _, s := range slots {
				if s.Program.IsPinned() {
					t.Error("a program that was given knows of the pin")
				}
			}
			for n, want := range map[int]bool{0: true, 10: true, 11: false} {
				if got, err := x.Has(dispatch, n); got != want || err != nil {
					t.Errorf("Has(%d) = %t, %v; want %t", n, got, err, want)
				}
			}
		})
	}
}

func TestProgramsInOrder(t *testing.T) {
	ensure(t)
	l := lockLibxdp(t, podTree)
	slots := newSlots(t, 3)
	if err := l.Pin(dispatch, slots); err != nil {
		t.Fatal(err)
	}
	opened, err := podTree.Programs(dispatch)
	if err != nil || len(opened) != 3 {
		t.Fatal(opened, err)
	}
	again := make([]pin.Slot, 3)
	for i, p := range opened {
		defer p.Close()
		if got, want := programID(t, p), programID(t, slots[i].Program); got != want {
			t.Errorf("slot %d: program %d, want %d", i, got, want)
		}
		again[i] = pin.Slot{Program: p, Link: slots[i].Link}
	}
	// As when a chain is changed: opened from the old dispatcher's pins, pinned
	// for the new one, and there are two of each.
	next := pin.Dispatch{Ifindex: 3, ID: 118}
	if err := l.Pin(next, again); err != nil {
		t.Fatal(err)
	}
	checkSlots(t, podTree, slots)
	if err := l.Unpin(next); err != nil {
		t.Error(err)
	}
	if opened, err := podTree.Programs(next); len(opened) != 0 || err != nil {
		t.Errorf("programs of a dispatcher that was unpinned: %v, %v", opened, err)
	}
}

func TestHasMissesEachPin(t *testing.T) {
	ensure(t)
	l := lockLibxdp(t, podTree)
	slots := newSlots(t, 2)
	for _, name := range []string{"prog0-link", "prog0-prog", "prog1-link", "prog1-prog"} {
		if err := l.Pin(dispatch, slots); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(podTree.BPFFS(), "xdp", dispatch.String(), name)); err != nil {
			t.Fatal(err)
		}
		if has, err := podTree.Has(dispatch, 2); has || err != nil {
			t.Errorf("Has without %s = %t, %v; want false", name, has, err)
		}
	}
}

func TestUnpinWhateverThereIs(t *testing.T) {
	ensure(t)
	l := lockLibxdp(t, podTree)
	folder := filepath.Join(podTree.BPFFS(), "xdp", dispatch.String())
	other := pin.Dispatch{Ifindex: 3, ID: 119}
	slots := newSlots(t, 2)
	for name, have := range map[string]func() error{
		"whole":        func() error { return l.Pin(dispatch, slots) },
		"nothing":      func() error { return nil },
		"empty folder": func() error { return os.Mkdir(folder, 0o700) },
		"half": func() error {
			return errors.Join(l.Pin(dispatch, slots), os.Remove(filepath.Join(folder, "prog0-link")))
		},
	} {
		if err := errors.Join(have(), l.Pin(other, slots)); err != nil {
			t.Fatal(name, err)
		}
		if err := l.Unpin(dispatch); err != nil {
			t.Error(name, err)
		}
		checkDispatches(t, podTree, other)
	}
}

func TestPinLeavesNothingOfWhatFails(t *testing.T) {
	ensure(t)
	l := lockLibxdp(t, podTree)
	slots := newSlots(t, 2)
	if err := slots[1].Program.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Pin(dispatch, slots); err == nil {
		t.Error("pinned a closed program")
	}
	checkDispatches(t, podTree)
}

func TestDispatchesAreThoseOfThatName(t *testing.T) {
	ensure(t)
	l := lockLibxdp(t, podTree)
	slots := newSlots(t, 1)
	second, other := pin.Dispatch{Ifindex: 3, ID: 4294967295}, pin.Dispatch{Ifindex: 33, ID: 200}
	for _, d := range []pin.Dispatch{dispatch, second, other} {
		if err := l.Pin(d, slots); err != nil {
			t.Fatal(err)
		}
	}
	// The last one is libxdp's, for a moment, as it probes the kernel.
	for _, name := range []string{"globals", "dispatch-3", "dispatch-3-", "dispatch-03-5", "dispatch-3-+5", "dispatch-3-4294967296", "3-117", "prog-test-link-1-99"} {
		foreign := filepath.Join(podTree.BPFFS(), "xdp", name)
		if err := os.Mkdir(foreign, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(foreign)
	}
	checkDispatches(t, podTree, dispatch, second, other)
}

func withLibxdp(do func(*pin.LibxdpLocked) error) error {
	ctx, cancel := childContext()
	defer cancel()
	l, err := podTree.Lock(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(l), l.Unlock())
}

// pinDispatch pins two slots whose links the environment gives.
func pinDispatch() error {
	var slots []pin.Slot
	for _, name := range []string{"LINK0", "LINK1"} {
		k, err := linkByID(name)
		if err != nil {
			return err
		}
		info, err := k.Info()
		if err != nil {
			return err
		}
		p, err := ebpf.NewProgramFromID(info.Program)
		if err != nil {
			return err
		}
		slots = append(slots, pin.Slot{Program: p, Link: k})
	}
	return withLibxdp(func(l *pin.LibxdpLocked) error { return l.Pin(dispatch, slots) })
}

func unpinDispatch() error {
	return withLibxdp(func(l *pin.LibxdpLocked) error { return l.Unpin(dispatch) })
}

func lockAndUnlock() error {
	return withLibxdp(func(*pin.LibxdpLocked) error { return nil })
}

func nothingBefore(*testing.T) {}

func TestPinKilledAnywhere(t *testing.T) {
	ensure(t)
	slots := newSlots(t, 2)
	env := []string{fmt.Sprintf("LINK0=%d", linkID(t, slots[0].Link)), fmt.Sprintf("LINK1=%d", linkID(t, slots[1].Link))}
	for name, finish := range map[string]func(t *testing.T, l *pin.LibxdpLocked){
		"then again": func(t *testing.T, l *pin.LibxdpLocked) {
			if err := l.Pin(dispatch, slots); err != nil {
				t.Fatal(err)
			}
			checkSlots(t, podTree, slots)
		},
		"then removed": func(t *testing.T, l *pin.LibxdpLocked) {
			if err := l.Unpin(dispatch); err != nil {
				t.Fatal(err)
			}
			checkDispatches(t, podTree)
		},
	} {
		t.Run(name, func(t *testing.T) {
			crashtest.AtSome(t, 20, "dispatch", env, nothingBefore, func(t *testing.T) {
				finish(t, lockLibxdp(t, podTree))
			})
		})
	}
}

func TestUnpinKilledAnywhere(t *testing.T) {
	ensure(t)
	slots := newSlots(t, 2)
	crashtest.AtSome(t, 20, "undispatch", nil, func(t *testing.T) {
		l, err := podTree.Lock(t.Context())
		if err == nil {
			err = errors.Join(l.Pin(dispatch, slots), l.Unlock())
		}
		if err != nil {
			t.Fatal(err)
		}
	}, sweepPodTree)
}

// TestEmptyTreeKilledAnywhere is for who locks a tree, pins nothing and leaves.
func TestEmptyTreeKilledAnywhere(t *testing.T) {
	ensure(t)
	crashtest.AtSome(t, 20, "empty", nil, nothingBefore, sweepPodTree)
}

// sweepPodTree removes the tree as who comes across it would, and sees that nothing
// is left.
func sweepPodTree(t *testing.T) {
	t.Helper()
	l, err := podTree.LockExisting(context.Background())
	if err == nil {
		err = empty(podTree, l)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if left := listTree(t, filepath.Join(tree.Root, "xdp-chain/netns")); len(left) != 0 {
		t.Errorf("left of the tree: %v", left)
	}
}
