// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
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

// Veth makes a veth pair as a CNI plugin would: podName in the network namespace
// at nsPath, hostName in the one the tests run in, both up, both with the given
// MTU (0: the kernel's 1500). IPv6 is off on both, since the kernel would send
// packets on its own account (router solicitations, multicast reports): what goes
// over the pair is the test's. The pair goes away with the test.
func Veth(t testing.TB, nsPath, podName, hostName string, mtu int) {
	t.Helper()
	ns, err := netns.GetFromPath(nsPath)
	if err != nil {
		t.Fatalf("opening network namespace %s: %v", nsPath, err)
	}
	defer ns.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = hostName, mtu
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: podName, PeerNamespace: netlink.NsFd(int(ns))}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatalf("adding veth %s with peer %s in %s: %v", hostName, podName, nsPath, err)
	}
	t.Cleanup(func() {
		if link, err := netlink.LinkByName(hostName); err == nil {
			_ = netlink.LinkDel(link) // it may go with its namespace meanwhile
		}
	})
	InNetNS(t, nsPath, func() error { return quietUp(podName) })
	InNetNS(t, "", func() error { return quietUp(hostName) })
}

// quietUp brings an interface of the calling thread's namespace up.
func quietUp(name string) error {
	// A kernel without IPv6 has no such file and nothing to keep quiet.
	off := "/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6"
	if err := os.WriteFile(off, []byte("1"), 0); err != nil && !os.IsNotExist(err) {
		return err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding %s: %w", name, err)
	}
	return netlink.LinkSetUp(link)
}

// Send sends Ethernet frames, destination address first, out of an interface of
// the network namespace at nsPath ("": the one the tests run in). The veth peer of
// that interface receives them, and its XDP program sees them.
func Send(t testing.TB, nsPath, ifname string, frames ...[]byte) {
	t.Helper()
	InNetNS(t, nsPath, func() error {
		iface, err := net.InterfaceByName(ifname)
		if err != nil {
			return err
		}
		// Protocol 0: the socket sends and receives nothing.
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening a packet socket: %w", err)
		}
		defer unix.Close(fd)
		for i, frame := range frames {
			if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: iface.Index}); err != nil {
				return fmt.Errorf("sending frame %d of %d, %d bytes, out of %s: %w", i+1, len(frames), len(frame), ifname, err)
			}
		}
		return nil
	})
}
