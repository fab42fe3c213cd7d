// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/mountinfo"
)

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
	if err != nil {
		return nil, fmt.Errorf("looking for network namespaces: %w", err)
	}
	return paths, nil
}
