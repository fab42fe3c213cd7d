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

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/errs"
	"github.com/xdp-chain/xdp-chain/internal/files"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
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
	cookies, err := files.Parse(t.netns(), func(name string) (uint64, error) { return strconv.ParseUint(name, 10, 64) })
	return cookies, errs.Wrapf(err, "list the namespaces with pins of libxdp's")
}

// Dispatch is a dispatcher of libxdp's protocol, as its pins name it.
type Dispatch struct {
	// Ifindex is the interface, by its index in the namespace of the tree.
	Ifindex int
	// ID is the dispatcher's program.
	ID ebpf.ProgramID
}

const dispatchPrefix = "dispatch-"

// String returns the name of the folder that holds the dispatcher's pins, such as
// "dispatch-3-117".
func (d Dispatch) String() string {
	return dispatchPrefix + strconv.Itoa(d.Ifindex) + "-" + strconv.FormatUint(uint64(d.ID), 10)
}

// parseDispatch is the inverse of String.
func parseDispatch(name string) (d Dispatch, err error) {
	if _, err = fmt.Sscanf(name, dispatchPrefix+"%d-%d", &d.Ifindex, &d.ID); err == nil && d.String() != name {
		err = fmt.Errorf("%w: %q is no dispatcher's folder", chain.ErrInvalid, name)
	}
	return d, err
}

// Slot is what occupies one slot of a dispatcher.
type Slot struct {
	// Program is the member, an extension program.
	Program *ebpf.Program
	// Link puts it into the slot.
	Link link.Link
}

// linkPin and programPin return the names of the pins of the nth slot, counted
// from 0.
func linkPin(n int) string    { return "prog" + strconv.Itoa(n) + "-link" }
func programPin(n int) string { return "prog" + strconv.Itoa(n) + "-prog" }

func (l *LibxdpLocked) dispatch(d Dispatch) string { return filepath.Join(l.path, d.String()) }

// Pin pins the slots of a dispatcher, the first one first, as libxdp does. What was
// pinned of that dispatcher before is replaced. The programs and links that are
// given do not know of these pins.
//
// On an error nothing of it is left. A process that dies in here leaves a folder
// with some of the pins, and one that dies right after it a whole one; the
// dispatcher is on no interface then, and [LibxdpLocked.Unpin] removes them, as
// "xdp-loader clean" does.
func (l *LibxdpLocked) Pin(d Dispatch, slots []Slot) error {
	if err := l.held(); err != nil {
		return err
	}
	err := os.RemoveAll(l.dispatch(d))
	if err == nil {
		err = pinSlots(l.dispatch(d), slots)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("pin the members of a dispatcher at %s: %w", l.dispatch(d), err), os.RemoveAll(l.dispatch(d)))
	}
	return nil
}

func pinSlots(folder string, slots []Slot) error {
	if err := os.Mkdir(folder, folderMode); err != nil {
		return err
	}
	for i, s := range slots {
		if err := pinLinkCopy(s.Link, filepath.Join(folder, linkPin(i))); err != nil {
			return fmt.Errorf("link of slot %d: %w", i, err)
		}
		if err := pinProgramCopy(s.Program, filepath.Join(folder, programPin(i))); err != nil {
			return fmt.Errorf("program of slot %d: %w", i, err)
		}
	}
	return nil
}

// pinProgramCopy is to programs what pinLinkCopy is to links.
func pinProgramCopy(p *ebpf.Program, path string) error {
	dup, err := p.Clone()
	if err != nil {
		return err
	}
	return pinAndClose(dup, path)
}

// Unpin removes the pins of a dispatcher, whatever there is of them; none is no
// error. The dispatcher must be off its interface: once its links have gone it
// passes everything.
//
// A process that dies in here leaves some of them for the next Unpin.
func (l *LibxdpLocked) Unpin(d Dispatch) error {
	if err := l.held(); err != nil {
		return err
	}
	return errs.Wrapf(os.RemoveAll(l.dispatch(d)), "unpin the members of a dispatcher")
}

// UnpinAll removes the pins of every dispatcher in the tree. It is for the tree of a
// namespace that is gone.
//
// A process that dies in here leaves some of them for the next UnpinAll.
func (l *LibxdpLocked) UnpinAll() error {
	all, err := l.tree.Dispatches()
	if err != nil {
		return err
	}
	for _, d := range all {
		if err := l.Unpin(d); err != nil {
			return err
		}
	}
	return nil
}

// Programs opens the programs in a dispatcher's slots from the first one on, up to the
// first that is not pinned; without any pin, none. The caller closes them.
//
// It needs no lock, as [Libxdp.Has] and [Libxdp.Dispatches] do not. A dispatcher's pins are
// made before it comes to its interface and removed after it has left, so whoever finds
// pins of the dispatcher that an interface carries finds all of them.
func (x Libxdp) Programs(d Dispatch) ([]*ebpf.Program, error) {
	var opened []*ebpf.Program
	for {
		path := filepath.Join(x.path(), d.String(), programPin(len(opened)))
		p, err := ebpf.LoadPinnedProgram(path, nil)
		switch {
		case err == nil:
			opened = append(opened, p)
			continue
		case errors.Is(err, fs.ErrNotExist):
			return opened, nil
		}
		for _, p := range opened {
			p.Close()
		}
		return nil, fmt.Errorf("open the pinned program at %s: %w", path, err)
	}
}

// Has tells whether a dispatcher's first n slots have all their pins.
func (x Libxdp) Has(d Dispatch, n int) (bool, error) {
	for i := range n {
		for _, name := range []string{linkPin(i), programPin(i)} {
			_, err := os.Lstat(filepath.Join(x.path(), d.String(), name))
			if errors.Is(err, fs.ErrNotExist) {
				return false, nil
			}
			if err != nil {
				return false, fmt.Errorf("look for pins of a dispatcher: %w", err)
			}
		}
	}
	return true, nil
}

// Dispatches returns the dispatchers that have a folder of pins in the tree, in no
// order that means anything. No tree is none.
func (x Libxdp) Dispatches() ([]Dispatch, error) {
	found, err := files.Parse(x.path(), parseDispatch)
	return found, errs.Wrapf(err, "list the pinned dispatchers in %s", x.path())
}
