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
