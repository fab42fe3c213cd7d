// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/xdp-chain/xdp-chain/internal/files"
)

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
func parseDispatch(name string) (d Dispatch, ok bool) {
	ifindex, id, _ := strings.Cut(strings.TrimPrefix(name, dispatchPrefix), "-")
	number, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return Dispatch{}, false
	}
	d.ID = ebpf.ProgramID(number)
	d.Ifindex, err = strconv.Atoi(ifindex)
	return d, err == nil && d.String() == name
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
	if err := os.RemoveAll(l.dispatch(d)); err != nil {
		return fmt.Errorf("unpin the members of a dispatcher: %w", err)
	}
	return nil
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
	names, err := files.Names(x.path())
	if err != nil {
		return nil, fmt.Errorf("list the pinned dispatchers in %s: %w", x.path(), err)
	}
	var found []Dispatch
	for _, name := range names {
		if d, ok := parseDispatch(name); ok {
			found = append(found, d)
		}
	}
	return found, nil
}
