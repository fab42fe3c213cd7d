// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// netnsDir is where ip-netns(8) keeps named namespaces.
const netnsDir = "/run/netns"

var netnsCount atomic.Uint64

// NewNetNS makes a network namespace with lo up and returns its path, a bind
// mount in /run/netns as runtimes make it. It goes away at the end of the test if
// [RemoveNetNS] has not removed it before.
func NewNetNS(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("testenv-%d", netnsCount.Add(1))
	made := make(chan error)
	go func() {
		// Never unlocked: the thread stays in the new namespace and ends with the
		// goroutine.
		runtime.LockOSThread()
		made <- newNamed(name)
	}()
	if err := <-made; err != nil {
		t.Fatalf("making network namespace %s: %v", name, err)
	}
	path := filepath.Join(netnsDir, name)
	t.Cleanup(func() { RemoveNetNS(t, path) })
	return path
}

func newNamed(name string) error {
	ns, err := netns.NewNamed(name) // moves the calling thread
	if err != nil {
		return err
	}
	defer ns.Close()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding lo: %w", err)
	}
	return netlink.LinkSetUp(lo)
}

// RemoveNetNS unmounts and removes the path of a network namespace, which ends the
// namespace and its interfaces unless something else holds it. It does nothing
// where the path is gone.
func RemoveNetNS(t testing.TB, path string) {
	t.Helper()
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unmounting network namespace %s: %v", path, err)
	}
	if err := unix.Unlink(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removing the path of network namespace %s: %v", path, err)
	}
}

// InNetNS runs f on a thread of its own in the network namespace at path; "" is
// the one the tests run in. Goroutines that f starts are not in that namespace. Where
// f ends the test, as t.Fatal does, the test ends.
func InNetNS(t testing.TB, path string, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked, see NewNetNS
		defer close(done)      // t.Fatal ends the goroutine
		if path != "" {
			ns, err := netns.GetFromPath(path)
			if err != nil {
				done <- fmt.Errorf("opening it: %w", err)
				return
			}
			defer ns.Close()
			if err := netns.Set(ns); err != nil {
				done <- fmt.Errorf("entering it: %w", err)
				return
			}
		}
		done <- f()
	}()
	switch err, returned := <-done; {
	case err != nil:
		t.Fatalf("in network namespace %q: %v", path, err)
	case !returned && t.Skipped():
		t.SkipNow()
	case !returned:
		t.FailNow()
	}
}
