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
)

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
