// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// AttachNetlink attaches to an interface that carries no XDP program in that mode, as ip
// link and libxdp do. The program stays until it is taken off or the interface is gone,
// whether this process lives or dies. Errors are as those of [Interface.AttachLink].
func (i *Interface) AttachNetlink(o AttachOptions) (AttachResult, error) {
	return i.place(o, func(mode chain.Mode) error {
		return i.changeNetlink(o.Program.FD(), noFD, modeFlags(mode)|unix.XDP_FLAGS_UPDATE_IF_NOEXIST)
	})
}

// ReplaceNetlink swaps old for program in one step, in the mode that old was placed in;
// frags says whether program is loaded with BPF_F_XDP_HAS_FRAGS. If the interface
// carries another program than old it is left alone and the error is a [BusyError]; if it
// carries none, errors.Is(err, [ErrNotAttached]); if another one is on top of it,
// errors.Is(err, [ErrCovered]).
//
// The swap is whole when the call returns, or did not happen: a process that dies in it
// leaves one of the two programs.
func (i *Interface) ReplaceNetlink(program, old *ebpf.Program, mode chain.Mode, frags bool) error {
	err := i.exchange(program.FD(), old, mode)
	if errors.Is(err, ErrNotAttached) {
		return fmt.Errorf("%w: %s carries none where one was to be replaced", ErrNotAttached, i.Name)
	}
	return i.explainChange(err, frags)
}

// DetachNetlink takes old off, in the mode that it was placed in. If the interface
// carries another program that one is left alone and the error is a [BusyError]; if it
// carries none, that is fine. If another one is on top of it, errors.Is(err, [ErrCovered]); if
// the interface is gone, errors.Is(err, [ErrNoInterface]).
func (i *Interface) DetachNetlink(old *ebpf.Program, mode chain.Mode) error {
	err := i.exchange(noFD, old, mode)
	if errors.Is(err, ErrNotAttached) {
		return nil
	}
	return i.explainChange(err, false)
}

// exchange puts the program fd in the place of old. The kernel has one number for old not
// being there, EEXIST, and for a program on top of the interface, since 5.15
// (dev_xdp_attach in net/core/dev.c).
func (i *Interface) exchange(fd int, old *ebpf.Program, mode chain.Mode) error {
	err := i.changeNetlink(fd, old.FD(), modeFlags(mode))
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	a, lookup := i.Attached()
	if lookup != nil {
		return errors.Join(err, lookup)
	}
	info, lookup := old.Info()
	if lookup != nil {
		return errors.Join(err, lookup)
	}
	switch expected, _ := info.ID(); a.ProgramID {
	case 0:
		return fmt.Errorf("%w: %w", ErrNotAttached, err)
	case expected:
		return fmt.Errorf("%w: %w", ErrCovered, err)
	}
	return err
}

// noFD stands for no program.
const noFD = -1

// changeNetlink sends RTM_SETLINK with IFLA_XDP: puts the program fd in place, or takes
// it off for noFD. With expected set it is a compare and exchange (XDP_FLAGS_REPLACE with
// IFLA_XDP_EXPECTED_FD, linux/if_link.h), which netlink.LinkSetXdpFd has not got.
func (i *Interface) changeNetlink(fd, expected int, flags uint32) error {
	xdp := nl.NewRtAttr(unix.IFLA_XDP|unix.NLA_F_NESTED, nil)
	xdp.AddRtAttr(unix.IFLA_XDP_FD, nl.Uint32Attr(uint32(int32(fd))))
	if expected != noFD {
		flags |= unix.XDP_FLAGS_REPLACE
		xdp.AddRtAttr(unix.IFLA_XDP_EXPECTED_FD, nl.Uint32Attr(uint32(expected)))
	}
	xdp.AddRtAttr(unix.IFLA_XDP_FLAGS, nl.Uint32Attr(flags))
	_, err := i.NetNS.request(unix.RTM_SETLINK, unix.NLM_F_ACK, 0, ifInfo(i.Index), xdp)
	return err
}

// modeFlags returns the XDP_FLAGS_*_MODE of a mode. Auto has none.
func modeFlags(mode chain.Mode) uint32 {
	switch mode {
	case chain.ModeNative:
		return unix.XDP_FLAGS_DRV_MODE
	case chain.ModeGeneric:
		return unix.XDP_FLAGS_SKB_MODE
	case chain.ModeOffload:
		return unix.XDP_FLAGS_HW_MODE
	}
	return 0
}
