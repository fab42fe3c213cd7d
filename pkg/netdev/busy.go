// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// BusyError says that an XDP hook is held by something else. It satisfies
// errors.Is(err, [ErrBusy]).
type BusyError struct {
	Interface string // the one to change
	NetNS     string // path
	On        string // the one that carries Holder: Interface, or the bridge or bond it is a port of
	Holder    Attached
	Err       error // the kernel's
}

// Error names the program, what holds it, and how to take it off. The holder is unknown
// where it left while we looked, or where it is a driver that is in another use.
func (e *BusyError) Error() string {
	if e.Holder.ProgramID == 0 {
		return fmt.Sprintf("interface %s: %v: %v, but it carries no XDP program now; try again", e.Interface, ErrBusy, e.Err)
	}
	where := fmt.Sprintf("interface %s", e.Interface)
	if e.On != e.Interface {
		where += fmt.Sprintf(" is a port of %s, which", e.On)
	}
	return fmt.Sprintf("%s carries %v: %v; take it off first (%s, in network namespace %s)", where, e.Holder, ErrBusy, e.removal(), e.NetNS)
}

func (e *BusyError) removal() string {
	switch {
	case e.Holder.LinkID != 0:
		return fmt.Sprintf("bpftool link detach id %d", e.Holder.LinkID)
	case e.Holder.Attach == chain.AttachLink:
		return "bpftool link detach"
	}
	flag := map[chain.Mode]string{chain.ModeNative: "xdpdrv", chain.ModeGeneric: "xdpgeneric", chain.ModeOffload: "xdpoffload"}
	return fmt.Sprintf("ip link set dev %s %s off", e.On, flag[e.Holder.Mode])
}

// Unwrap returns ErrBusy and the kernel's error.
func (e *BusyError) Unwrap() []error { return []error{ErrBusy, e.Err} }

// busy finds out who holds the hook that the kernel refused with err. Besides a program
// on the interface itself, one on the bridge or bond above it makes the kernel refuse: a
// first attach, and since 5.15 any change by netlink of a program that is there.
func (i *Interface) busy(err error) error {
	e := &BusyError{Interface: i.Name, NetNS: i.NetNS.path, On: i.Name, Err: err}
	lookup := i.busyAbove(e)
	if lookup == nil && e.On == i.Name {
		if errors.Is(err, ErrCovered) { // by what is no master: a macvlan, a VLAN
			return fmt.Errorf("interface %s: %w: %w; take that one off first", i.Name, ErrBusy, err)
		}
		e.Holder, lookup = i.Holder()
	}
	if lookup != nil {
		return fmt.Errorf("%w (who holds it is not known: %w)", e, lookup)
	}
	return e
}

// busyAbove fills in the holder where it is on the bridge or bond above. The kernel looks
// for that after a bpf_link on the interface (EBUSY) and before any other program.
func (i *Interface) busyAbove(e *BusyError) error {
	if i.master == 0 || !errors.Is(e.Err, unix.EEXIST) {
		return nil
	}
	master, err := i.NetNS.InterfaceByIndex(i.master)
	if err != nil {
		return err
	}
	holder, err := master.Holder()
	if err != nil || holder.ProgramID == 0 {
		return err
	}
	e.On, e.Holder = master.Name, holder
	return nil
}
