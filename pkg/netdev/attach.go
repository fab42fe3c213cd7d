// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// AttachOptions says what to attach and how.
type AttachOptions struct {
	Program *ebpf.Program
	Mode    chain.Mode
	Frags   bool // the program is loaded with BPF_F_XDP_HAS_FRAGS; errors advise by it
	// KeepNative has auto not take generic for native where it is the MTU that is too large.
	KeepNative bool
}

// AttachResult says how a program came to sit on its interface.
type AttachResult struct {
	Mode chain.Mode // the mode taken; never auto
	Why  string     // under auto: why it is generic; else empty
}

// tryModes attaches in the mode asked for. Auto is native, then generic where native is
// refused for a reason that is the driver's or the MTU's.
func (i *Interface) tryModes(o AttachOptions, attach func(chain.Mode) error) (AttachResult, error) {
	mode := o.Mode
	if mode == chain.ModeAuto {
		mode = chain.ModeNative
	}
	refused := i.explain(attach(mode), mode, o.Frags)
	if refused == nil {
		return AttachResult{Mode: mode}, nil
	}
	if o.Mode == chain.ModeNative && errors.Is(refused, ErrUnsupported) {
		return AttachResult{}, fmt.Errorf("%w; modes auto and generic do without native XDP", refused)
	}
	if o.Mode != chain.ModeAuto || !errors.Is(refused, ErrUnsupported) || o.KeepNative && errors.As(refused, new(*MTUError)) {
		return AttachResult{}, refused
	}
	if err := i.explain(attach(chain.ModeGeneric), chain.ModeGeneric, o.Frags); err != nil {
		return AttachResult{}, fmt.Errorf("%w (generic was tried because native is not to be had: %w)", err, refused)
	}
	return AttachResult{Mode: chain.ModeGeneric, Why: refused.Error()}, nil
}

// enotsupp is the kernel's internal ENOTSUPP, which some drivers let out instead of
// EOPNOTSUPP.
const enotsupp = syscall.Errno(524)

// explain turns the error of a first attach into one that says what to do about it, all but
// to use another mode than native: that may have been taken by auto, which goes on by itself.
func (i *Interface) explain(err error, mode chain.Mode, frags bool) error {
	unsupported := errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, enotsupp) || errors.Is(err, unix.EINVAL)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EINVAL) && i.isGone(): // what BPF_LINK_CREATE says then
		return i.gone()
	case unsupported && mode == chain.ModeNative:
		return fmt.Errorf("%w: %s (%s, MTU %d) takes no native XDP as it is (%w)", ErrUnsupported, i.Name, i.Kind, i.MTU, err)
	case unsupported && mode == chain.ModeOffload:
		return fmt.Errorf("%w: %s (%s) has no hardware that runs XDP (%w); use mode auto, native or generic", ErrUnsupported, i.Name, i.Kind, err)
	}
	return i.explainChange(err, frags)
}

// explainChange explains what a first attach and a swap have in common.
func (i *Interface) explainChange(err error, frags bool) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return i.busy(err)
	case errors.Is(err, unix.ERANGE):
		return i.mtuTooLarge(frags)
	case errors.Is(err, unix.ENOSPC):
		return i.tooFewQueues()
	case errors.Is(err, unix.ENOTCONN):
		return fmt.Errorf("%w: the peer of %s is gone", ErrNoInterface, i.Name)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENOLINK):
		return i.gone()
	}
	return fmt.Errorf("changing the XDP program of %s: %w", i.Name, err)
}

// AttachLink attaches by a bpf_link. The caller must pin the link or keep it open: until
// it is pinned, the death of the process takes the program off again. Errors are
// [BusyError], [MTUError], [QueueError], or satisfy errors.Is for [ErrUnsupported] or
// [ErrNoInterface].
func (i *Interface) AttachLink(o AttachOptions) (link.Link, AttachResult, error) {
	var l link.Link
	result, err := i.tryModes(o, func(mode chain.Mode) error {
		// The kernel looks for the interface in the caller's own namespace.
		return i.NetNS.Do(func() error {
			var err error
			l, err = link.AttachXDP(link.XDPOptions{
				Program: o.Program, Interface: i.Index, Flags: link.XDPAttachFlags(modeFlags(mode)),
			})
			return err
		})
	})
	if err != nil {
		return nil, AttachResult{}, err
	}
	return l, result, nil
}

// UpdateLink swaps the program that link l holds on this interface for p, in the link's
// own mode, in one step; frags says whether p is loaded with BPF_F_XDP_HAS_FRAGS. On an
// error the old program stays. If the interface is gone, errors.Is(err, [ErrNoInterface]).
//
// The swap is whole when the call returns, or did not happen: a process that dies in it
// leaves one of the two programs.
func (i *Interface) UpdateLink(l link.Link, p *ebpf.Program, frags bool) error {
	return i.explainChange(l.Update(p), frags)
}

// LinkIfindex returns the index of the interface that an XDP link is attached to, in the
// namespace that the interface is in; 0 when the interface is gone.
func LinkIfindex(l link.Link) (int, error) {
	info, err := l.Info()
	if err != nil {
		return 0, fmt.Errorf("reading about a bpf_link: %w", err)
	}
	xdp := info.XDP()
	if xdp == nil {
		return 0, errors.New("not a bpf_link of type xdp")
	}
	return int(xdp.Ifindex), nil
}

// AttachNetlink attaches to an interface that carries no XDP program in that mode, as ip
// link and libxdp do. The program stays until it is taken off or the interface is gone,
// whether this process lives or dies. Errors are as those of [Interface.AttachLink].
func (i *Interface) AttachNetlink(o AttachOptions) (AttachResult, error) {
	return i.tryModes(o, func(mode chain.Mode) error {
		return i.setXDP(o.Program.FD(), noFD, modeFlags(mode)|unix.XDP_FLAGS_UPDATE_IF_NOEXIST)
	})
}

// ReplaceNetlink swaps old for program in one step, in the mode that old was attached in;
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

// DetachNetlink takes old off, in the mode that it was attached in. If the interface
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
	err := i.setXDP(fd, old.FD(), modeFlags(mode))
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

// setXDP sends RTM_SETLINK with IFLA_XDP: puts the program fd in place, or takes
// it off for noFD. With expected set it is a compare and exchange (XDP_FLAGS_REPLACE with
// IFLA_XDP_EXPECTED_FD, linux/if_link.h), which netlink.LinkSetXdpFd has not got.
func (i *Interface) setXDP(fd, expected int, flags uint32) error {
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
