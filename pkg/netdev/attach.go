// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/cilium/ebpf"
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

// place attaches in the mode asked for. Auto is native, then generic where native is
// refused for a reason that is the driver's or the MTU's.
func (i *Interface) place(o AttachOptions, attach func(chain.Mode) error) (AttachResult, error) {
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
