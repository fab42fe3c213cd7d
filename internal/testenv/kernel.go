// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// KernelIndependent skips the test where tests are to be short, as in the lab, whose kernels are
// several and slow: it is about what is the same on all of them, such as files.
func KernelIndependent(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("it is the same on every kernel, and tests are to be short")
	}
}

// shardEnv is set by integration/vm in its guests: which of the kernels that run this one
// is, counted from 0, and how many these are, as in "1/3".
const shardEnv = "XDP_CHAIN_SHARD"

// Shard returns which of the lab's kernels this one is, counted from 0, and how many of
// them run. Elsewhere it is the one of one.
func Shard(t testing.TB) (mine, kernels int) {
	t.Helper()
	text, inLab := os.LookupEnv(shardEnv)
	if !inLab {
		return 0, 1
	}
	if n, err := fmt.Sscanf(text, "%d/%d", &mine, &kernels); n != 2 || mine < 0 || mine >= kernels {
		t.Fatalf("%s=%q, want the like of 1/3: %v", shardEnv, text, err)
	}
	return mine, kernels
}

// ShardByKernel skips the ith of several cases where tests are to be short and another of
// the lab's kernels runs it. It is for cases that differ in what is the same on all of
// them: together the kernels run each case, and each of them a few.
func ShardByKernel(t testing.TB, i int) {
	t.Helper()
	if mine, kernels := Shard(t); testing.Short() && i%kernels != mine {
		t.Skipf("kernel %d of the lab's %d runs it, and tests are to be short", i%kernels, kernels)
	}
}

// NeedKernel takes what a probe of the kernel said about a feature (package features
// of cilium/ebpf has many): nil lets the test go on; an error that is
// [ebpf.ErrNotSupported] skips it, in the lab without failing CI, since the other
// kernels have the feature. Any other error means that the probe itself failed, and
// fails the test.
func NeedKernel(t testing.TB, feature error) {
	t.Helper()
	switch {
	case feature == nil:
	case !errors.Is(feature, ebpf.ErrNotSupported):
		t.Fatalf("asking the kernel for a feature: %v", feature)
	case InLab():
		t.Skipf("this kernel of the lab lacks what the test is about: %v", feature)
	default:
		Skip(t, "this kernel lacks what the test is about: "+feature.Error())
	}
}

// HaveFrags returns nil where the kernel runs XDP programs on frames of several
// buffers, which it does since Linux 5.18; for [NeedKernel].
func HaveFrags() error {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, AttachType: ebpf.AttachXDP, Flags: unix.BPF_F_XDP_HAS_FRAGS, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
	if errors.Is(err, unix.EINVAL) { // for a flag that it does not know
		return fmt.Errorf("XDP frags: %w", ebpf.ErrNotSupported)
	}
	if err != nil {
		return err
	}
	return p.Close()
}

// labEnv is set by integration/vm in its guests, to the series of their kernel.
const labEnv = "XDP_CHAIN_LAB"

// LabKernel returns the series of the kernel, such as "6.1", in a guest of
// integration/vm; elsewhere "".
func LabKernel() string { return os.Getenv(labEnv) }

// InLab reports whether the test runs in a guest of integration/vm.
func InLab() bool { return LabKernel() != "" }

// NeedFreplace skips the test where the kernel does not replace functions of a
// loaded program (BPF_PROG_TYPE_EXT), which is found out by doing it. In the lab,
// whose kernels do, such a test must run; elsewhere the skip is no failure even
// when CI=true, since make test runs the same test in the lab.
func NeedFreplace(t testing.TB) {
	t.Helper()
	switch err := freplace(); {
	case err == nil:
	case InLab():
		t.Fatalf("the lab's kernel must replace functions of programs: %v", err)
	default:
		t.Skipf("this kernel replaces no functions of programs, the lab's do: %v", err)
	}
}

// freplace replaces a function of one program, and then by the same extension one
// of a second program: the first is known since Linux 5.6, the second since 5.10.
var freplace = sync.OnceValue(func() error {
	first, err := replaceable()
	if err != nil {
		return fmt.Errorf("loading a program with a function to replace: %w", err)
	}
	defer first.Close()
	second, err := replaceable()
	if err != nil {
		return fmt.Errorf("loading a second program with a function to replace: %w", err)
	}
	defer second.Close()
	extension, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "replacement", Type: ebpf.Extension, License: "GPL",
		AttachTarget: first, AttachTo: stubName,
		Instructions: asm.Instructions{
			btf.WithFuncMetadata(asm.Mov.Imm(asm.R0, 2), xdpFunc("replacement")),
			asm.Return(),
		},
	})
	if err != nil {
		return fmt.Errorf("loading an extension program: %w", err)
	}
	defer extension.Close()
	for _, target := range []*ebpf.Program{first, second} {
		l, attachErr := link.AttachFreplace(target, stubName, extension)
		if attachErr != nil {
			return fmt.Errorf("attaching an extension program: %w", attachErr)
		}
		err = errors.Join(err, l.Close())
	}
	return err
})

const stubName = "stub"

// replaceable loads an XDP program that calls a global function, [stubName].
func replaceable() (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "replaceable", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{
			btf.WithFuncMetadata(asm.Call.Label(stubName), xdpFunc("replaceable")),
			asm.Return(),
			btf.WithFuncMetadata(asm.Mov.Imm(asm.R0, 2).WithSymbol(stubName), xdpFunc(stubName)),
			asm.Return(),
		},
	})
}

// xdpFunc is "int name(struct xdp_md *)", the only shape in which the kernel takes
// a global function of an XDP program.
func xdpFunc(name string) *btf.Func {
	return &btf.Func{Name: name, Linkage: btf.GlobalFunc, Type: &btf.FuncProto{
		Return: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed},
		Params: []btf.FuncParam{{Name: "ctx", Type: &btf.Pointer{Target: &btf.Struct{Name: "xdp_md", Size: 24}}}},
	}}
}
