// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/files"
)

// Libxdp is the tree in which libxdp and its tools keep the pins of one network
// namespace's chains: the folder xdp below what they take for a bpffs, with a
// folder for each dispatcher. Its layout, its names and its lock are libxdp's
// (get_bpffs_dir, xdp_lock_acquire and xdp_multiprog__pin of its libxdp.c).
type Libxdp struct {
	bpffs string
	// own says that the tree is one of our making, for one namespace, and goes
	// with the last pin in it.
	own bool
}

// Libxdp returns the tree of the network namespace with the given cookie. A tree
// for each namespace is what keeps "xdp-loader clean" in one from removing the pins
// of another, whose interfaces it does not find.
func (t Tree) Libxdp(cookie uint64) Libxdp {
	return Libxdp{bpffs: filepath.Join(t.netns(), strconv.FormatUint(cookie, 10)), own: true}
}

// HostLibxdp returns the tree that libxdp's tools use unless they are told of
// another one. The host's namespace has its pins there.
func (t Tree) HostLibxdp() Libxdp { return Libxdp{bpffs: t.Root} }

// BPFFS returns the folder that libxdp's tools take for their bpffs when the
// environment variable LIBXDP_BPFFS holds it. It must exist for that.
func (x Libxdp) BPFFS() string { return x.bpffs }

func (x Libxdp) path() string { return filepath.Join(x.bpffs, "xdp") }

// LibxdpLocked is a tree of libxdp's whose lock is held, the one that libxdp takes
// itself. libxdp waits for it without an end, so it is not to be held for long. It
// is not for use by several goroutines at once.
type LibxdpLocked struct {
	tree Libxdp
	folder
}

// Lock takes libxdp's lock on the tree, which it makes where there is none.
// [Tree.Ensure] must have succeeded before. While somebody else has the lock it
// waits, as long as ctx allows, and then returns a [*LockedError] that names the
// holder.
//
// Whoever takes a chain's lock too takes that first, and whoever takes that of a
// namespace's tree and that of the host's takes them in this order.
//
// A process that dies with the lock frees it. One that dies in here leaves at most
// an empty tree or a part of one; [Libxdp.LockExisting], and Unlock where it has got
// the lock, remove that.
func (x Libxdp) Lock(ctx context.Context) (*LibxdpLocked, error) {
	for {
		if x.own {
			if err := os.Mkdir(x.bpffs, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, fmt.Errorf("make folder for libxdp's pins: %w", err)
			}
		}
		l, err := x.lock(ctx, true)
		if !x.own || !errors.Is(err, fs.ErrNotExist) {
			return l, err
		}
		// A holder has removed the namespace's folder since.
	}
}

// LockExisting is Lock for a tree that is there; otherwise the error satisfies
// errors.Is(err, [fs.ErrNotExist]).
func (x Libxdp) LockExisting(ctx context.Context) (*LibxdpLocked, error) {
	l, err := x.lock(ctx, false)
	if x.own && errors.Is(err, fs.ErrNotExist) {
		// A process that died in Lock or in Unlock may have left the
		// namespace's folder, empty. Who is about to lock makes it anew.
		_ = unix.Rmdir(x.bpffs)
	}
	return l, err
}

func (x Libxdp) lock(ctx context.Context, create bool) (*LibxdpLocked, error) {
	f, err := lockFolder(x.path(), create, "libxdp's folder "+x.path(), waitUntil(ctx))
	if err != nil {
		return nil, err
	}
	return &LibxdpLocked{tree: x, folder: f}, nil
}

// Unlock gives the lock up. A namespace's tree in which nothing is pinned is
// removed; the host's is libxdp's own and stays. A second Unlock does nothing.
//
// A process that dies in here leaves an empty tree or a part of one, as one that
// dies in Lock does.
func (l *LibxdpLocked) Unlock() error {
	if l.dir == nil {
		return nil
	}
	if l.tree.own && unix.Rmdir(l.path) == nil {
		// Somebody who made the folder anew by now keeps this from succeeding.
		_ = unix.Rmdir(l.tree.bpffs)
	}
	return l.release()
}

// LibxdpCookies returns the network namespaces that have a tree of libxdp's, in no order
// that means anything.
func (t Tree) LibxdpCookies() ([]uint64, error) {
	names, err := files.Names(t.netns())
	if err != nil {
		return nil, fmt.Errorf("list the namespaces with pins of libxdp's: %w", err)
	}
	cookies := make([]uint64, 0, len(names))
	for _, name := range names {
		if cookie, err := strconv.ParseUint(name, 10, 64); err == nil {
			cookies = append(cookies, cookie)
		}
	}
	return cookies, nil
}
