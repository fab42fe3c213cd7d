// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// flockLikeLibxdp takes libxdp's lock by the calls that libxdp makes, and returns
// what holds it.
func flockLikeLibxdp(folder string, how int) (*os.File, error) {
	dir, err := os.OpenFile(folder, unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), how); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// holdLikeLibxdp keeps libxdp's lock on a folder until it is killed.
func holdLikeLibxdp() error {
	dir, err := flockLikeLibxdp(os.Getenv("FOLDER"), unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer dir.Close() // never: it keeps the lock
	fmt.Println("locked")
	time.Sleep(time.Hour) // the runtime would take select {} for a deadlock
	return nil
}

// checkFree looks whether a tool of libxdp's would get the lock on a folder at once.
func checkFree(t *testing.T, folder string, want bool) {
	t.Helper()
	dir, err := flockLikeLibxdp(folder, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		dir.Close()
	} else if !errors.Is(err, unix.EWOULDBLOCK) {
		t.Fatal(err)
	}
	if free := err == nil; free != want {
		t.Errorf("%s is free for libxdp: %t; want %t", folder, free, want)
	}
}

// keepTree makes a tree with something pinned in it.
func keepTree(t *testing.T, x pin.Libxdp) {
	t.Helper()
	l := lockLibxdp(t, x)
	if err := errors.Join(l.Pin(dispatch, newSlots(t, 1)), l.Unlock()); err != nil {
		t.Fatal(err)
	}
}

func TestLibxdpLockedErrorNamesTheHolder(t *testing.T) {
	ensure(t)
	for name, x := range map[string]pin.Libxdp{"pod": podTree, "host": tree.HostLibxdp()} {
		t.Run(name, func(t *testing.T) {
			keepTree(t, x)
			folder := filepath.Join(x.BPFFS(), "xdp")
			holder := startHolder(t, "hold-libxdp", "FOLDER="+folder)
			defer holder.Process.Kill()
			for call, lock := range map[string]func(context.Context) (*pin.LibxdpLocked, error){"Lock": x.Lock, "LockExisting": x.LockExisting} {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				_, err := lock(ctx)
				var locked *pin.LockedError
				if !errors.As(err, &locked) || !errors.Is(err, pin.ErrLocked) || !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("%s: %v; want a LockedError", call, err)
				}
				if locked.HolderPID != holder.Process.Pid || !strings.Contains(err.Error(), folder) {
					t.Errorf("%s: %v; want %s to be held by %d", call, err, folder, holder.Process.Pid)
				}
			}
		})
	}
}

func TestLibxdpWaitsForUs(t *testing.T) {
	ensure(t)
	for name, x := range map[string]pin.Libxdp{"pod": podTree, "host": tree.HostLibxdp()} {
		t.Run(name, func(t *testing.T) {
			keepTree(t, x)
			folder := filepath.Join(x.BPFFS(), "xdp")
			l, err := x.Lock(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			checkFree(t, folder, false)
			if err := l.Unlock(); err != nil {
				t.Fatal(err)
			}
			checkFree(t, folder, true)
		})
	}
}

func TestKilledToolFreesTheLock(t *testing.T) {
	ensure(t)
	keepTree(t, podTree)
	holder := startHolder(t, "hold-libxdp", "FOLDER="+filepath.Join(podTree.BPFFS(), "xdp"))
	got := make(chan error)
	go func() {
		l, err := podTree.Lock(t.Context())
		if err == nil {
			err = l.Unlock()
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatal("did not wait for who holds the lock:", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// waitForRemoved has a waiter with the folder open when the tree goes, and returns
// what it gets.
func waitForRemoved(t *testing.T, lock func(context.Context) (*pin.LibxdpLocked, error)) (next *pin.LibxdpLocked, err error) {
	t.Helper()
	l := lockLibxdp(t, podTree)
	var waiter sync.WaitGroup
	waiter.Go(func() { next, err = lock(t.Context()) })
	time.Sleep(50 * time.Millisecond)
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
	waiter.Wait()
	return next, err
}

func TestTreeRemovedWhileWaitingForAnExisting(t *testing.T) {
	ensure(t)
	if _, err := waitForRemoved(t, podTree.LockExisting); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v; want fs.ErrNotExist", err)
	}
}

func TestTreeRemovedWhileWaiting(t *testing.T) {
	ensure(t)
	next, err := waitForRemoved(t, podTree.Lock)
	if err != nil {
		t.Fatal(err)
	}
	// What it holds is what others find, and can be pinned in.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := podTree.LockExisting(ctx); !errors.Is(err, pin.ErrLocked) {
		t.Errorf("LockExisting beside the waiter's lock: %v; want ErrLocked", err)
	}
	if err := next.Pin(dispatch, newSlots(t, 1)); err != nil {
		t.Error(err)
	}
	if err := empty(podTree, next); err != nil {
		t.Error(err)
	}
}

func TestTreesAreTheirNamespaces(t *testing.T) {
	ensure(t)
	trees := []pin.Libxdp{podTree, tree.Libxdp(key.Cookie + 1), tree.HostLibxdp()}
	var locks []*pin.LibxdpLocked
	for _, x := range trees {
		locks = append(locks, lockLibxdp(t, x)) // which waits for none of the others
	}
	want := make([]pin.Dispatch, len(trees))
	for i, l := range locks {
		want[i] = pin.Dispatch{Ifindex: 3, ID: ebpf.ProgramID(1 + i)}
		if err := l.Pin(want[i], newSlots(t, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for i, x := range trees {
		checkDispatches(t, x, want[i])
	}
}

func TestUnlockRemovesAnEmptyTreeOfOurs(t *testing.T) {
	ensure(t)
	netns, plain := filepath.Join(tree.Root, "xdp-chain/netns"), filepath.Join(tree.Root, "xdp")
	for range 2 {
		pod, host := lockLibxdp(t, podTree), lockLibxdp(t, tree.HostLibxdp())
		for _, path := range []string{podTree.BPFFS(), filepath.Join(podTree.BPFFS(), "xdp"), plain} {
			if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeDir|0o700 {
				t.Errorf("%s: %v, %v; want a folder of mode 0700", path, info.Mode(), err)
			}
		}
		for range 2 {
			if err := errors.Join(pod.Unlock(), host.Unlock()); err != nil {
				t.Error(err)
			}
		}
		if left := listTree(t, netns); len(left) != 0 {
			t.Errorf("left of the tree: %v", left)
		}
		if _, err := os.Lstat(plain); err != nil {
			t.Errorf("the tree that is libxdp's own: %v", err)
		}
		for name, err := range map[string]error{"Pin": pod.Pin(dispatch, nil), "Unpin": pod.Unpin(dispatch)} {
			if err == nil {
				t.Errorf("%s works without the lock", name)
			}
		}
	}
}

func TestLockExistingMakesNothing(t *testing.T) {
	ensure(t)
	if _, err := podTree.LockExisting(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no tree: %v; want fs.ErrNotExist", err)
	}
	if left := listTree(t, filepath.Join(tree.Root, "xdp-chain/netns")); len(left) != 0 {
		t.Errorf("made %v", left)
	}
}

func TestLockLibxdpWithoutEnsure(t *testing.T) {
	if _, err := (pin.Tree{Root: t.TempDir()}).Libxdp(1).Lock(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v; want fs.ErrNotExist", err)
	}
}

// TestPlainTreeThroughALink has the folder be what iproute2 makes of it.
func TestPlainTreeThroughALink(t *testing.T) {
	at := atRoot(t)
	if err := at.Ensure(); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(at.Root, "tc")+"/", filepath.Join(at.Root, "xdp")); err != nil {
		t.Fatal(err)
	}
	if _, err := at.HostLibxdp().Lock(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link to nowhere: %v; want fs.ErrNotExist", err)
	}
	if err := os.Mkdir(filepath.Join(at.Root, "tc"), 0o700); err != nil {
		t.Fatal(err)
	}
	l := lockLibxdp(t, at.HostLibxdp())
	slots := newSlots(t, 1)
	if err := l.Pin(dispatch, slots); err != nil {
		t.Fatal(err)
	}
	checkSlots(t, at.HostLibxdp(), slots)
	checkFree(t, filepath.Join(at.Root, "tc"), false)
}

// contendForLibxdp takes the lock of one tree time and again, and leaves it now
// empty and now not.
func contendForLibxdp() error {
	ctx, cancel := childContext()
	defer cancel()
	for range turns() {
		l, err := podTree.Lock(ctx)
		if err != nil {
			return err
		}
		pinNone := func() error { return l.Pin(dispatch, nil) }
		unpin := func() error { return l.Unpin(dispatch) }
		if err := errors.Join(alone(sometimes(pinNone, unpin)), l.Unlock()); err != nil {
			return err
		}
		if l, err = podTree.LockExisting(ctx); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(alone(nothing), l.Unlock()); err != nil {
			return err
		}
	}
	return nil
}

func TestOneAtATimeInLibxdpsTree(t *testing.T) {
	shortly(t)
	ensure(t)
	t.Setenv("ALONE", filepath.Join(t.TempDir(), "alone"))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := contendForLibxdp(); err != nil {
				t.Error("goroutine:", err)
			}
		})
		all.Go(func() {
			if err := crashtest.Command("libxdp").Run(); err != nil {
				t.Error("process:", err)
			}
		})
	}
	all.Wait()
	sweepPodTree(t)
}

func ExampleLibxdp_BPFFS() {
	fmt.Printf("LIBXDP_BPFFS=%s xdp-loader status\n", pin.Tree{Root: pin.DefaultRoot}.Libxdp(4097).BPFFS())
	// Output: LIBXDP_BPFFS=/sys/fs/bpf/xdp-chain/netns/4097 xdp-loader status
}

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
	if diff := cmp.Diff(append([]pin.Dispatch{}, want...), got, byID); diff != "" {
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
