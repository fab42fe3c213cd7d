// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

// Probe finds out whether this kernel can run libxdp's dispatcher and this process may
// make one, by doing it: it puts a program in the place of one dispatcher, then into a
// slot of a second one, and lets a packet through both. Nil says that it can. What is
// missing is said by an error that satisfies errors.Is(err, [ErrNoFreplace]); other
// errors are about the probe itself, such as dispatcher.ErrNotPermitted.
//
// It takes a millisecond or two and leaves nothing.
func Probe() error {
	p, err := probeLoad()
	if err != nil {
		return err
	}
	defer p.Close()
	return probeAttach(p, "prog0")
}

// probeMember returns one verdict, which an empty dispatcher does not.
func probeMember() *dispatcher.Member {
	return &dispatcher.Member{
		Member: chain.Member{Name: "probe", Function: "probe"},
		Spec: &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{"probe": {
			Name: "probe", Type: ebpf.XDP, License: "Dual BSD/GPL",
			Instructions: asm.Instructions{
				btf.WithFuncMetadata(asm.Mov.Imm(asm.R0, int32(chain.TX)), load.XDPFunc("probe")),
				asm.Return(),
			},
		}}},
	}
}

// probeLoad returns an extension program that has been attached once.
func probeLoad() (*ebpf.Program, error) {
	t, err := probeTarget()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	slot, err := t.fill(probeMember(), ProgramName, nil)
	if err != nil {
		return nil, err
	}
	defer slot.Link.Close()
	if err := t.runProbe(); err != nil {
		return nil, errors.Join(err, slot.Program.Close())
	}
	return slot.Program, nil
}

// probeAttach attaches an extension program to another dispatcher.
func probeAttach(p *ebpf.Program, function string) error {
	t, err := probeTarget()
	if err != nil {
		return err
	}
	defer t.Close()
	l, err := t.attach(p, function)
	if err != nil {
		return err
	}
	defer l.Close()
	return t.runProbe()
}

// probeTarget loads a dispatcher of one slot after which nothing goes on.
func probeTarget() (*target, error) {
	p, err := loadDispatcher(&Config{Version: DefaultVersion, Slots: make([]SlotConfig, 1)})
	if err != nil {
		return nil, load.Permission(err)
	}
	t, err := newTarget(p)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return t, nil
}

// runProbe lets a packet through the dispatcher.
func (t *target) runProbe() error {
	verdict, err := t.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
	if err != nil {
		return fmt.Errorf("running libxdp's dispatcher: %w", err)
	}
	if verdict != uint32(chain.TX) {
		return fmt.Errorf("%w: a program takes a function's place and is not called; the dispatcher returns %d", ErrNoFreplace, verdict)
	}
	return nil
}

const (
	// enotsupp is the kernel's own ENOTSUPP, which no header of libc has.
	enotsupp = unix.Errno(524)

	// reattachSince is the version code of Linux 5.10, the first that attaches an
	// extension program to a second dispatcher.
	reattachSince = 5<<16 | 10<<8
)

// missing tells what of the kernel, or of this process' rights, is behind an error of
// loading or attaching an extension program: an [ErrNoFreplace], or nil where that is
// not it.
func (t *target) missing(err error) error {
	var refused *ebpf.VerifierError
	hasLog := errors.As(err, &refused) && len(refused.Log) > 0
	switch {
	case err == nil:
		return nil
	case errors.Is(err, enotsupp), errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("%w: this kernel has no BPF trampolines for its architecture (%v)", ErrNoFreplace, err)
	case errors.Is(err, unix.EPERM) && !hasLog && !hasPerfmon():
		return fmt.Errorf("%w: this process lacks CAP_PERFMON (or CAP_SYS_ADMIN), which extension programs need beside CAP_BPF and CAP_NET_ADMIN", ErrNoFreplace)
	case errors.Is(err, unix.EPERM) && !hasLog:
		return fmt.Errorf("%w: this machine refuses programs that use BPF trampolines, though this process has the capabilities (%v)", ErrNoFreplace, unix.EPERM)
	case t.notJITed():
		return fmt.Errorf("%w: it needs the BPF JIT, which is off (sysctl net.core.bpf_jit_enable=1 switches it on)", ErrNoFreplace)
	case isBefore(reattachSince):
		return fmt.Errorf("%w: this kernel is older than Linux 5.10 (%v)", ErrNoFreplace, err)
	}
	return nil
}

// hasPerfmon reports whether this thread may load extension programs. Kernels before
// 5.8, which have no CAP_PERFMON, want CAP_SYS_ADMIN.
func hasPerfmon() bool {
	var sets [2]unix.CapUserData // version 3 has two halves
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &sets[0]); err != nil {
		return true // then it is not said that it has not
	}
	has := func(c uint) bool { return sets[c/32].Effective&(1<<(c%32)) != 0 }
	return has(unix.CAP_PERFMON) || has(unix.CAP_SYS_ADMIN)
}

// notJITed reports whether the dispatcher is interpreted: this process loaded it, so
// it may know of its machine code, if there is any.
func (t *target) notJITed() bool {
	info, err := t.Info()
	if err != nil {
		return false
	}
	_, err = info.JitedSize()
	return errors.Is(err, ebpf.ErrNotSupported)
}

func isBefore(version uint32) bool {
	running, err := features.LinuxVersionCode()
	return err == nil && running < version
}
