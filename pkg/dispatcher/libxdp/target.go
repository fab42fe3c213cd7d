// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

// target is a loaded dispatcher whose functions are to be replaced.
type target struct {
	*ebpf.Program
	types *btf.Spec
}

// newTarget reads the BTF of a dispatcher, once for all its slots.
func newTarget(p *ebpf.Program) (*target, error) {
	handle, err := p.Handle()
	if err != nil {
		return nil, fmt.Errorf("opening the BTF of libxdp's dispatcher: %w", err)
	}
	defer handle.Close()
	types, err := handle.Spec(nil)
	if err != nil {
		return nil, fmt.Errorf("reading the BTF of libxdp's dispatcher: %w", err)
	}
	return &target{p, types}, nil
}

// fill puts a member in the place of a function. maps are the member's.
func (t *target) fill(m *dispatcher.Member, function string, maps map[string]*ebpf.Map) (dispatcher.Slot, error) {
	program, err := t.program(m, function, maps)
	if err != nil {
		return dispatcher.Slot{}, err
	}
	l, err := t.attach(program, function)
	if err != nil {
		return dispatcher.Slot{}, errors.Join(fmt.Errorf("attaching member %q: %w", m.Name, err), program.Close())
	}
	return dispatcher.Slot{Member: m.Name, Program: program, Link: l}, nil
}

// program returns the member's extension program, which it loads if nobody has before.
func (t *target) program(m *dispatcher.Member, function string, maps map[string]*ebpf.Map) (*ebpf.Program, error) {
	if m.Loaded != nil {
		p, err := m.Loaded.Clone()
		if err != nil {
			return nil, fmt.Errorf("taking the loaded program of member %q: %w", m.Name, err)
		}
		return p, nil
	}
	spec, err := t.extension(m.Spec.Programs[m.Function], function, maps)
	if err != nil {
		return nil, fmt.Errorf("member %q: %w", m.Name, err)
	}
	p, err := loadExtension(spec)
	if err != nil {
		return nil, cmp.Or(t.missing(err), load.Blame(m.Name, err))
	}
	return p, nil
}

// extension returns a copy of a program that is to take the place of a function.
func (t *target) extension(p *ebpf.ProgramSpec, function string, maps map[string]*ebpf.Map) (*ebpf.ProgramSpec, error) {
	p = p.Copy()
	if err := load.Associate(p.Instructions, maps); err != nil {
		return nil, err
	}
	// What each slot is. The object's own description may differ, as in the type of the
	// pointer, which the verifier does not read for a program of its own, but does for
	// one that is to replace a function.
	entry := load.XDPFunc(btf.FuncMetadata(&p.Instructions[0]).Name)
	p.Instructions[0] = btf.WithFuncMetadata(p.Instructions[0], entry)
	p.Type, p.AttachType = ebpf.Extension, ebpf.AttachNone
	p.AttachTarget, p.AttachTo = t.Program, function
	// Whether frags come is the dispatcher's affair; the kernel refuses the flag here.
	p.Flags &^= unix.BPF_F_XDP_HAS_FRAGS
	return p, nil
}

// attach puts a program in the place of a function until the link is closed. The
// program may have been loaded for another dispatcher.
func (t *target) attach(p *ebpf.Program, function string) (link.Link, error) {
	var replaced *btf.Func
	if err := t.types.TypeByName(function, &replaced); err != nil {
		return nil, fmt.Errorf("finding %s in the BTF of libxdp's dispatcher: %w", function, err)
	}
	id, err := t.types.TypeID(replaced)
	if err != nil {
		return nil, fmt.Errorf("finding %s in the BTF of libxdp's dispatcher: %w", function, err)
	}
	// AttachFreplace of cilium/ebpf would read the dispatcher's BTF for each slot.
	l, err := link.AttachRawLink(link.RawLinkOptions{Target: t.FD(), Program: p, Attach: ebpf.AttachNone, BTF: id})
	if err != nil {
		return nil, cmp.Or(t.missing(err), err)
	}
	return l, nil
}

// loadExtension loads an extension program. Kernels as old as 5.10 look for the type
// of an extension's context under its own program type instead of its target's
// (btf_get_prog_ctx_type in kernel/bpf/btf.c), find none, and so refuse each global
// function that is given the context. For them such functions become static: the
// verifier then follows each call instead of proving the function once.
func loadExtension(spec *ebpf.ProgramSpec) (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(spec)
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) && strings.Contains(strings.Join(refused.Log, "\n"), "Caller passes invalid args into func#") {
		if p, staticErr := ebpf.NewProgram(withStaticFunctions(spec)); staticErr == nil {
			return p, nil
		}
	}
	return p, err
}

// withStaticFunctions returns a copy of a program in which only the entry is global.
func withStaticFunctions(spec *ebpf.ProgramSpec) *ebpf.ProgramSpec {
	spec = spec.Copy()
	for i := range spec.Instructions[1:] {
		ins := &spec.Instructions[1+i]
		if fn := btf.FuncMetadata(ins); fn != nil {
			static := *fn
			static.Linkage = btf.StaticFunc
			*ins = btf.WithFuncMetadata(*ins, &static)
		}
	}
	return spec
}

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
	t, err := probeTarget()
	if err != nil {
		return err
	}
	defer t.Close()
	l, err := t.attach(p, "prog0")
	if err != nil {
		return err
	}
	defer l.Close()
	return t.runProbe()
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
