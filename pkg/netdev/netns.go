// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// NetNS is an open network namespace. It keeps the namespace alive until Close.
// Its methods may be called from several goroutines at once.
type NetNS struct {
	path   string
	handle ns.NetNS
	cookie uint64
	// rtnl was made in the namespace and stays in it.
	rtnl *nl.SocketHandle
}

// OpenNetNS opens the network namespace that path leads to: a bind mount such as
// /run/netns/<name>, or /proc/<pid>/ns/net. Where path is gone, or is no network
// namespace, errors.Is(err, [ErrNetNSGone]).
func OpenNetNS(path string) (*NetNS, error) {
	handle, err := ns.GetNS(path)
	var noNS ns.NSPathNotNSErr
	switch {
	case errors.As(err, &noNS):
		return nil, fmt.Errorf("%w at %q: nothing of that kind is mounted there; it was removed or never made", ErrNetNSGone, path)
	case err != nil && isMissing(path):
		return nil, fmt.Errorf("%w at %q: the path does not exist", ErrNetNSGone, path)
	case err != nil:
		return nil, fmt.Errorf("opening network namespace %q: %w", path, err)
	}
	// A file on procfs, or a namespace of another type, gets this far.
	if kind, err := unix.IoctlRetInt(int(handle.Fd()), unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		handle.Close()
		return nil, fmt.Errorf("%w at %q: it is something else", ErrNetNSGone, path)
	}
	return newNetNS(path, handle)
}

// CurrentPath is the Path of a namespace that [CurrentNetNS] opened: it leads every
// process of the namespace to it.
const CurrentPath = "/proc/self/ns/net"

// CurrentNetNS opens the namespace of the calling thread: outside of [NetNS.Do],
// the one this process runs in.
func CurrentNetNS() (*NetNS, error) {
	handle, err := ns.GetCurrentNS()
	if err != nil {
		return nil, fmt.Errorf("opening the current network namespace: %w", err)
	}
	return newNetNS(CurrentPath, handle)
}

// isMissing says whether nothing is at path. It looks for itself, since what package ns
// returns does not always keep the cause. A process that ended but was not waited for
// still has its folder in /proc, with no namespaces in it.
func isMissing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ESRCH)
}

func newNetNS(path string, handle ns.NetNS) (*NetNS, error) {
	n := &NetNS{path: path, handle: handle}
	err := n.Do(func() error {
		var err error
		if n.rtnl, err = openRoute(); err != nil {
			return fmt.Errorf("opening a rtnetlink socket: %w", err)
		}
		n.cookie, err = netnsCookie(n.rtnl.Socket.GetFd())
		return err
	})
	if err != nil {
		n.Close()
		return nil, fmt.Errorf("network namespace %q: %w", path, err)
	}
	return n, nil
}

// Path returns the path the namespace was opened by.
func (n *NetNS) Path() string { return n.path }

// Cookie returns a number that no other network namespace has had or will have
// until reboot: SO_NETNS_COOKIE, or what stands for it below kernel 5.14.
func (n *NetNS) Cookie() uint64 { return n.cookie }

// Do runs f on a thread that is in the namespace. f must not start goroutines
// that rely on it: they run on other threads.
func (n *NetNS) Do(f func() error) error {
	return n.handle.Do(func(ns.NetNS) error { return f() })
}

// Close releases the namespace. It must be called once.
func (n *NetNS) Close() error {
	if n.rtnl != nil {
		n.rtnl.Socket.Close()
	}
	if err := n.handle.Close(); err != nil {
		return fmt.Errorf("closing network namespace %q: %w", n.path, err)
	}
	return nil
}
