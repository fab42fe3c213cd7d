// SPDX-License-Identifier: Apache-2.0

// Package load is what the dispatchers do alike when they bring members into the
// kernel: make their maps and fill them, entry programs included, tell whether all take
// frags, and turn the kernel's errors into those of package dispatcher.
//
// # Invariants
//
// Nothing here changes a member. What is made belongs to the [dispatcher.Built] that
// is passed in, also when an error is returned.
package load

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/bpfspec"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// Settle returns members of which each names the one program that it is, and whose Spec
// holds nothing but what this program needs. Errors satisfy errors.Is(err,
// chain.ErrInvalid).
func Settle(members []dispatcher.Member) ([]dispatcher.Member, error) {
	members = slices.Clone(members)
	for i := range members {
		if err := settle(&members[i]); err != nil {
			return nil, fmt.Errorf("%w: member %q: %w", chain.ErrInvalid, members[i].Name, err)
		}
	}
	return members, nil
}

func settle(m *dispatcher.Member) (err error) {
	if m.Spec == nil && m.Loaded != nil { // somebody else's
		return nil
	}
	if m.Spec == nil {
		return errors.New("it has no object")
	}
	for name := range m.Maps {
		if m.Spec.Maps[name] == nil {
			return fmt.Errorf("a map was given for %q, and its object has no such map", name)
		}
	}
	if m.Function, err = bpfspec.Choose(m.Spec.Programs, m.Function); err != nil {
		return err
	}
	if len(m.Spec.Programs[m.Function].Instructions) == 0 {
		return fmt.Errorf("program %q has no instructions", m.Function)
	}
	whole := m.Spec
	m.Spec = bpfspec.Narrow(whole, m.Function)
	if len(m.Spec.Maps) < len(whole.Maps) {
		m.Maps = maps.Clone(m.Maps)
		maps.DeleteFunc(m.Maps, func(name string, _ *ebpf.Map) bool { return m.Spec.Maps[name] == nil })
	}
	return nil
}

// Places returns the places of members in the chain, in their order.
func Places(members []dispatcher.Member) []chain.Member {
	places := make([]chain.Member, len(members))
	for i, m := range members {
		places[i] = m.Member
	}
	return places
}

// CheckProgramArrays refuses tail calls that the object itself has set up: the
// programs they lead to are not loaded with the member. Errors satisfy errors.Is(err,
// dispatcher.ErrProgramArray).
func CheckProgramArrays(m *dispatcher.Member) error {
	for name, spec := range m.Spec.Maps {
		if spec.Type != ebpf.ProgramArray {
			continue
		}
		for _, kv := range spec.Contents {
			if program, ok := kv.Value.(string); ok {
				return fmt.Errorf("%w: program array %q of member %q is filled with %q by the object; "+
					"leave the array empty in the object and fill it after the attachment", dispatcher.ErrProgramArray, name, m.Name, program)
			}
		}
	}
	return nil
}

// Each calls do with 0 to n-1, several at a time, and returns the error of the
// lowest: members take a few system calls each, and a pod waits for them.
func Each(n int, do func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int32
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = do(i)
			}
		})
	}
	workers.Wait()
	return cmp.Or(errs...)
}

// fragsSince is the version code of Linux 5.18, the first to have
// BPF_F_XDP_HAS_FRAGS.
const fragsSince = 5<<16 | 18<<8

// XDPProto is the type of XDP programs, int f(struct xdp_md *ctx). The verifier knows the
// context by the name of the struct (btf_is_prog_ctx_type in the kernel's
// kernel/bpf/btf.c), of which it reads no more than that; its size is that of
// linux/bpf.h. Nobody may change it.
var XDPProto = &btf.FuncProto{
	Return: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed},
	Params: []btf.FuncParam{{Name: "ctx", Type: &btf.Pointer{Target: &btf.Struct{Name: "xdp_md", Size: 24}}}},
}

// XDPFunc describes a global function of type [XDPProto].
func XDPFunc(name string) *btf.Func {
	return &btf.Func{Name: name, Type: XDPProto, Linkage: btf.GlobalFunc}
}

// TakesFrags reports whether a chain of these members takes packets of several
// buffers: every member does, and the kernel knows of it. A kernel that does not
// gives no program such packets, so members made for them run there as well.
func TakesFrags(members []dispatcher.Member) bool {
	without := slices.ContainsFunc(members, func(m dispatcher.Member) bool { return !MemberFrags(&m) })
	return !without && kernelHasFrags()
}

// MemberFrags reports whether a member takes packets of several buffers: its program
// does, and so do its entry programs.
func MemberFrags(m *dispatcher.Member) bool {
	if m.Spec == nil {
		return m.Frags
	}
	for _, p := range m.Spec.Programs {
		if p.Flags&unix.BPF_F_XDP_HAS_FRAGS == 0 {
			return false
		}
	}
	return true
}

// kernelHasFrags asks the kernel itself only where its version does not say:
// distributions bring features to older versions.
var kernelHasFrags = sync.OnceValue(func() bool {
	if version, err := features.LinuxVersionCode(); err == nil && version >= fragsSince {
		return true
	}
	return probeFrags() == nil
})

// probeFrags loads a program that takes frags.
func probeFrags() error {
	return Try(&ebpf.ProgramSpec{
		Type: ebpf.XDP, AttachType: ebpf.AttachXDP, Flags: unix.BPF_F_XDP_HAS_FRAGS, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, int32(chain.Pass)), asm.Return()},
	})
}

// TellingLines is how much of a verifier's log is kept: the instructions that led
// to the refusal and the refusal itself.
const TellingLines = 12

// Try loads a program for the sake of the answer.
func Try(spec *ebpf.ProgramSpec) error {
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		return err
	}
	return p.Close()
}

// Blame words the error of a member that does not load: a
// [dispatcher.RefusedError] if it comes from the verifier.
func Blame(member string, err error) error {
	var refused *ebpf.VerifierError
	if !errors.As(err, &refused) {
		return fmt.Errorf("loading member %q: %w", member, err)
	}
	return &dispatcher.RefusedError{Member: member, Log: telling(refused.Log), Err: refused.Cause}
}

// Permission puts [dispatcher.ErrNotPermitted] around EPERM that is not the
// verifier's. The verifier's comes with a log.
func Permission(err error) error {
	var refused *ebpf.VerifierError
	if !errors.Is(err, unix.EPERM) || errors.As(err, &refused) && len(refused.Log) > 0 {
		return err
	}
	return fmt.Errorf("%w: %w", dispatcher.ErrNotPermitted, err)
}

// Reason returns the last line of a verifier's log that is about the program.
func Reason(refused *ebpf.VerifierError) string {
	lines := telling(refused.Log)
	if len(lines) == 0 {
		return "its log is empty"
	}
	return lines[len(lines)-1]
}

// statistics are the beginnings of the lines that the verifier ends its log with
// whatever the outcome (print_verification_stats).
var statistics = []string{"processed ", "verification time ", "stack depth "}

// telling returns the last lines of a verifier's log that are about the program.
func telling(log []string) []string {
	var lines []string
	for _, line := range log {
		line = strings.TrimSpace(line)
		statistic := slices.ContainsFunc(statistics, func(start string) bool { return strings.HasPrefix(line, start) })
		if line != "" && !statistic {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-TellingLines):]
}
