// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// holdLock takes the lock of key, says so, and keeps it until it is killed.
func holdLock() error {
	ctx, cancel := childContext()
	defer cancel()
	if _, err := tree.Lock(ctx, key); err != nil {
		return err
	}
	fmt.Println("locked")
	time.Sleep(time.Hour) // the runtime would take select {} for a deadlock
	return nil
}

// startHolder starts a process that takes a lock, by one of the bodies that hold it
// until they are killed.
func startHolder(t *testing.T, body string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := crashtest.Command(body, env...)
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have been killed by the test
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("holder says %q, %v", line, err)
	}
	return cmd
}

func TestLockedErrorNamesTheHolder(t *testing.T) {
	ensure(t)
	holder := startHolder(t, "hold")
	defer removeIfThere(t, key, nil)
	defer holder.Process.Kill()

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, waited := tree.Lock(ctx, key)
	_, tried := tree.TryLock(key)
	for name, err := range map[string]error{"Lock": waited, "TryLock": tried} {
		var locked *pin.LockedError
		if !errors.As(err, &locked) || !errors.Is(err, pin.ErrLocked) {
			t.Fatalf("%s: %v; want a LockedError", name, err)
		}
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", holder.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if locked.What != "chain "+key.String() || locked.HolderPID != holder.Process.Pid || locked.HolderName != strings.TrimSpace(string(comm)) {
			t.Errorf("%s: %+v; want chain %s held by %d, %s", name, locked, key, holder.Process.Pid, comm)
		}
	}
	if !errors.Is(waited, context.DeadlineExceeded) || errors.Is(tried, context.DeadlineExceeded) {
		t.Errorf("Lock: %v, TryLock: %v; want DeadlineExceeded of Lock alone", waited, tried)
	}
}

func TestKilledHolderFreesTheLock(t *testing.T) {
	ensure(t)
	holder := startHolder(t, "hold")
	got := make(chan *pin.Locked)
	go func() {
		l, err := tree.Lock(t.Context(), key)
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	select {
	case <-got:
		t.Fatal("got a lock that somebody else holds")
	case <-time.After(50 * time.Millisecond):
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if l := <-got; l != nil {
		removeIfThere(t, key, l)
	}
}

func TestChainsDoNotWaitForEachOther(t *testing.T) {
	ensure(t)
	lockForTest(t, key)
	for i := range 20 {
		other := chain.Key{Cookie: key.Cookie, Ifindex: key.Ifindex + 1 + i}
		start := time.Now()
		l := lockForTest(t, other)
		if !l.Holds(other) || l.Holds(key) {
			t.Errorf("lock of %s: Holds(%s) = %t, Holds(%s) = %t", other, other, l.Holds(other), key, l.Holds(key))
		}
		if wait := time.Since(start); wait > time.Second {
			t.Errorf("the lock of %s took %v", other, wait)
		}
	}
}

func TestTryLockMakesNothing(t *testing.T) {
	ensure(t)
	if _, err := tree.TryLock(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v; want fs.ErrNotExist", err)
	}
	if keys, err := tree.Keys(); len(keys) != 0 || err != nil {
		t.Errorf("keys: %v, %v; want none", keys, err)
	}
}

func TestUnlockLeavesNoEmptyFolder(t *testing.T) {
	ensure(t)
	l := lock(t, key)
	for range 2 {
		if err := l.Unlock(); err != nil {
			t.Error(err)
		}
	}
	if keys, err := tree.Keys(); len(keys) != 0 || err != nil {
		t.Errorf("keys: %v, %v; want none", keys, err)
	}
	if l.Holds(key) {
		t.Error("holds the lock after Unlock")
	}
	for name, err := range map[string]error{
		"Stage":        l.Stage(1, nil, nil, nil),
		"FinalizePins": l.FinalizePins(1),
		"Clear":        l.Clear(),
	} {
		if err == nil {
			t.Errorf("%s works without the lock", name)
		}
	}
}

func TestUnlockKeepsPins(t *testing.T) {
	ensure(t)
	l := lockForTest(t, key)
	if err := l.Stage(1, newMap(t, "counters"), nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	l, err := tree.TryLock(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
}

// TestRemovedWhileWaiting has a waiter with the folder open when it goes.
func TestRemovedWhileWaiting(t *testing.T) {
	ensure(t)
	l := lock(t, key)
	got := make(chan *pin.Locked)
	go func() {
		next, err := tree.Lock(t.Context(), key)
		if err != nil {
			t.Error(err)
		}
		got <- next
	}()
	time.Sleep(50 * time.Millisecond)
	if err := remove(l); err != nil {
		t.Fatal(err)
	}
	next := <-got
	if next == nil {
		return
	}
	defer removeIfThere(t, key, next)
	// What it holds is what others find.
	if _, err := tree.TryLock(key); !errors.Is(err, pin.ErrLocked) {
		t.Errorf("TryLock beside the waiter's lock: %v; want ErrLocked", err)
	}
}

// alone runs f and fails if somebody else is in here meanwhile, in any process.
func alone(f func() error) error {
	mark, err := os.OpenFile(os.Getenv("ALONE"), os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("two at once: %w", err)
	}
	mark.Close()
	return errors.Join(f(), os.Remove(mark.Name()))
}

// sometimes returns one of two functions.
func sometimes(f, g func() error) func() error {
	if rand.IntN(2) == 0 {
		return f
	}
	return g
}

func nothing() error { return nil }

// contend takes the lock of one chain time and again, and ends it in each of the
// ways there are.
// turns is how often each process takes the lock: less often where the test, which says so
// to its children, is to be short.
func turns() int {
	if os.Getenv("SHORT") != "" {
		return 25
	}
	return 100
}

// shortly has the test's processes take fewer turns where it is to be short.
func shortly(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Setenv("SHORT", "1")
	}
}

func contend() error {
	ctx, cancel := childContext()
	defer cancel()
	for range turns() {
		l, err := tree.Lock(ctx, key)
		if err != nil {
			return err
		}
		stage := func() error { return l.Stage(1, nil, nil, nil) }
		if err := alone(sometimes(stage, nothing)); err != nil {
			return err
		}
		if err := errors.Join(sometimes(l.Clear, nothing)(), l.Unlock()); err != nil {
			return err
		}
	}
	return nil
}

// share does the same with the maps of a network.
func share() error {
	ctx, cancel := childContext()
	defer cancel()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return err
	}
	defer m.Close()
	for range turns() {
		n, err := tree.LockNode(ctx, "podnet")
		if err != nil {
			return err
		}
		pinAgain := func() error { return errors.Join(n.Unpin("m"), n.Pin("m", m)) }
		if err := alone(sometimes(pinAgain, nothing)); err != nil {
			return err
		}
		if err := sometimes(n.Remove, n.Unlock)(); err != nil {
			return err
		}
	}
	return nil
}

func TestOneAtATime(t *testing.T) {
	shortly(t)
	ensure(t)
	for body, f := range map[string]func() error{"contend": contend, "share": share} {
		t.Run(body, func(t *testing.T) {
			t.Setenv("ALONE", filepath.Join(t.TempDir(), "alone"))
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					if err := f(); err != nil {
						t.Error("goroutine:", err)
					}
				})
				all.Go(func() {
					if err := crashtest.Command(body).Run(); err != nil {
						t.Error("process:", err)
					}
				})
			}
			all.Wait()
		})
	}
	removeIfThere(t, key, nil)
	n, err := tree.LockNode(t.Context(), "podnet")
	if err == nil {
		err = n.Remove()
	}
	if err != nil {
		t.Error(err)
	}
}
