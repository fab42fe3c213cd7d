// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/errs"
	"github.com/xdp-chain/xdp-chain/internal/mountinfo"
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
	return errs.Wrapf(n.handle.Close(), "closing network namespace %q", n.path)
}

// netnsCookie returns the cookie of the calling thread's namespace, in which socket
// was made. Which way it takes depends on the kernel alone, so that all cookies of
// one boot are of one kind.
func netnsCookie(socket int) (uint64, error) {
	cookie, err := unix.GetsockoptUint64(socket, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if errors.Is(err, unix.ENOPROTOOPT) { // before 5.14
		return socketCookie()
	}
	return cookie, errs.Wrapf(err, "reading SO_NETNS_COOKIE")
}

// netlinkDiagReq is struct netlink_diag_req of linux/netlink_diag.h.
type netlinkDiagReq struct {
	Family   uint8
	Protocol uint8
	_        uint16
	Inode    uint32
	Show     uint32
	Cookie   [2]uint32
}

// netlinkDiagMsg is struct netlink_diag_msg of linux/netlink_diag.h.
type netlinkDiagMsg struct {
	Family    uint8
	Type      uint8
	Protocol  uint8
	State     uint8
	PortID    uint32
	DstPortID uint32
	DstGroup  uint32
	Inode     uint32
	Cookie    [2]uint32 // low half first, see sock_diag_save_cookie
}

// socketCookie returns the socket cookie of the kernel's own NETLINK_ROUTE socket in
// the calling thread's namespace. The kernel makes that socket with the namespace and
// releases it with the namespace, and since 5.4 one counter deals out the cookies of
// all namespaces' sockets (net/core/sock_diag.c). It needs CONFIG_NETLINK_DIAG, which
// `ss -f netlink` needs too.
func socketCookie() (uint64, error) {
	diag, err := binary.Append(nil, binary.NativeEndian, netlinkDiagReq{Family: unix.AF_NETLINK, Protocol: unix.NETLINK_ROUTE})
	if err != nil {
		return 0, fmt.Errorf("encoding struct netlink_diag_req: %w", err)
	}
	req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	req.AddRawData(diag)
	answers, err := req.Execute(unix.NETLINK_SOCK_DIAG, nl.SOCK_DIAG_BY_FAMILY)
	// A dump that others' sockets coming and going interrupted still holds the
	// kernel's socket, which does neither.
	if err != nil && !errors.Is(err, nl.ErrDumpInterrupted) {
		return 0, fmt.Errorf("listing netlink sockets (kernels before 5.14 need CONFIG_NETLINK_DIAG): %w", err)
	}
	for _, answer := range answers {
		var msg netlinkDiagMsg
		if _, err := binary.Decode(answer, binary.NativeEndian, &msg); err != nil {
			return 0, fmt.Errorf("decoding struct netlink_diag_msg: %w", err)
		}
		if msg.PortID == 0 && msg.Protocol == unix.NETLINK_ROUTE { // port 0 is the kernel
			return uint64(msg.Cookie[1])<<32 | uint64(msg.Cookie[0]), nil
		}
	}
	return 0, errors.New("the kernel's own rtnetlink socket is not among the netlink sockets")
}

// Namespaces returns a path of each network namespace that can be found from here, each
// namespace once: first [CurrentPath], then those that are mounted somewhere, as ip netns
// and container runtimes have them, then those that only processes are in. A namespace
// that nothing but an open file or another namespace's reference keeps is not found. A
// path may lead nowhere any more by the time it is opened.
func Namespaces() ([]string, error) {
	paths := []string{CurrentPath}
	mounted, err := mountedNamespaces()
	if err != nil {
		return nil, err
	}
	processes, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return nil, err
	}
	paths = append(append(paths, mounted...), processes...)
	seen := make(map[inode]bool, len(paths))
	var list []string
	for _, path := range paths {
		if i, err := inodeOf(path); err == nil && !seen[i] { // else gone since
			seen[i] = true
			list = append(list, path)
		}
	}
	return list, nil
}

// InFirst tells whether this process is in the network namespace of process 1: in the
// machine's own, and in none that it was sent to by nsenter or ip netns exec. Where that
// cannot be known it is taken to be.
func InFirst() bool {
	own, err := inodeOf(CurrentPath)
	first, firstErr := inodeOf("/proc/1/ns/net")
	return err != nil || firstErr != nil || own == first
}

// FindNetNS opens the namespace with a cookie, of those that [Namespaces] finds. It is nil
// where there is none.
func FindNetNS(cookie uint64) (*NetNS, error) {
	paths, err := Namespaces()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, path := range paths {
		n, err := OpenNetNS(path)
		switch {
		case errors.Is(err, ErrNetNSGone): // since
		case err != nil:
			errs = append(errs, err)
		case n.Cookie() == cookie:
			return n, nil
		default:
			errs = append(errs, n.Close())
		}
	}
	return nil, errors.Join(errs...)
}

// LastingPath returns a path of an open namespace that leads there for as long as one
// can: [CurrentPath] for the machine's own, then a mount, and only then the path that it
// was opened by, such as that of a process, which may end before the namespace does.
// CurrentPath leads other processes there as well if they are where this one is: so it
// comes after the mounts for a process that was sent to another namespace ([InFirst]).
func (n *NetNS) LastingPath() (string, error) {
	var own unix.Stat_t
	if err := unix.Fstat(int(n.handle.Fd()), &own); err != nil {
		return "", fmt.Errorf("looking at network namespace %q: %w", n.path, err)
	}
	mounted, err := mountedNamespaces()
	if err != nil {
		return "", err
	}
	paths := mounted
	if !strings.HasPrefix(n.path, "/proc/") {
		paths = slices.Insert(paths, 0, n.path)
	}
	if InFirst() {
		paths = slices.Insert(paths, 0, CurrentPath)
	} else {
		paths = append(paths, CurrentPath)
	}
	for _, path := range paths {
		if i, err := inodeOf(path); err == nil && i == (inode{own.Dev, own.Ino}) {
			return path, nil
		}
	}
	return n.path, nil
}

// inode tells namespaces apart for as long as they are open or mounted.
type inode struct{ device, number uint64 }

func inodeOf(path string) (inode, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return inode{st.Dev, st.Ino}, err
}

// mountedNamespaces returns the mount points of network namespaces.
func mountedNamespaces() ([]string, error) {
	paths, err := mountinfo.Points(func(m mountinfo.Mount) bool { return strings.HasPrefix(m.Root, "net:[") })
	return paths, errs.Wrapf(err, "looking for network namespaces")
}
