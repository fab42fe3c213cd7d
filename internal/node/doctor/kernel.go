// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/enum"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
)

// FindingState says how bad a [Finding] is. The zero value is StateOK.
type FindingState uint8

// The values of FindingState.
const (
	// StateOK is as it should be.
	StateOK FindingState = iota
	// StateWarning works, or will, and somebody should look.
	StateWarning
	// StateFailing keeps something from working.
	StateFailing
)

var findingStateNames = enum.Names[FindingState]{
	What: "state", Invalid: chain.ErrInvalid, List: []string{"ok", "warning", "failing"},
}

// Finding is what was found about one thing that chains depend on. Its JSON form is
// stable: fields are added, none is taken away or given another meaning.
type Finding struct {
	// Check names the thing, such as "bpffs".
	Check string       `json:"check"`
	State FindingState `json:"state"`
	// Found is what was found, a sentence.
	Found string `json:"found"`
	// Do is what to do about it; empty where the state is ok.
	Do string `json:"do,omitempty"`
}

// OK is a finding of something that is as it should be.
func OK(check, found string) Finding { return Finding{check, StateOK, found, ""} }

// Warning is a finding that somebody should look at.
func Warning(check, found, do string) Finding { return Finding{check, StateWarning, found, do} }

// Failing is a finding of something that keeps chains from working.
func Failing(check, found, do string) Finding { return Finding{check, StateFailing, found, do} }

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// leastKernel is the oldest kernel that runs chains.
var leastKernel = [2]int{5, 10}

// ExamineKernel says what the kernel has of what chains need. It asks what an ADD asks,
// and attaches nothing.
func ExamineKernel(n *state.Node) []Finding {
	return []Finding{examineVersion(), examineBPF(), examineBTF(), examineFreplace(n), examineBPFFS(n)}
}

func examineVersion() Finding {
	const check = "kernel"
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return Failing(check, fmt.Sprintf("its version cannot be read: %v", err), "run xdpctl on the node itself")
	}
	release := unix.ByteSliceToString(name.Release[:])
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return Warning(check, fmt.Sprintf("version %q cannot be read", release), "make sure that it is Linux 5.10 or later")
	}
	if major < leastKernel[0] || major == leastKernel[0] && minor < leastKernel[1] {
		return Failing(check, "Linux "+release, "chains need Linux 5.10 or later")
	}
	return OK(check, "Linux "+release)
}

// examineBPF loads a program that passes everything. How it runs it says itself: the
// sysctl net.core.bpf_jit_enable is there in the first network namespace alone.
func examineBPF() Finding {
	const check = "bpf"
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "xdpctl_doctor", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
	if err != nil {
		return Failing(check, fmt.Sprintf("the kernel loads no XDP program: %v", err),
			"run as root; in a container, with CAP_BPF and CAP_NET_ADMIN and without a seccomp profile that forbids bpf(2)")
	}
	defer p.Close()
	info, err := p.Info()
	var size uint32
	if err == nil {
		size, err = info.JitedSize()
	}
	switch {
	case err != nil && !errors.Is(err, ebpf.ErrNotSupported):
		return Warning(check, fmt.Sprintf("XDP programs load; whether they are compiled cannot be read: %v", err), "look at sysctl net.core.bpf_jit_enable")
	case size == 0:
		return Warning(check, "XDP programs load and are interpreted, several times slower than compiled ones", "sysctl -w net.core.bpf_jit_enable=1")
	}
	return OK(check, "XDP programs load, and the JIT compiles them")
}

func examineBTF() Finding {
	const check = "btf"
	if _, err := btf.LoadKernelSpec(); err != nil {
		return Warning(check, fmt.Sprintf("the kernel's types cannot be read: %v", err),
			"programs that read the kernel's structures (CO-RE) will be refused; boot a kernel with CONFIG_DEBUG_INFO_BTF to run them")
	}
	return OK(check, "the kernel tells its types")
}

func examineFreplace(n *state.Node) Finding {
	const check = "trampolines"
	err := n.HaveFreplace()
	switch {
	case err == nil:
		return OK(check, "functions of loaded programs can be replaced, as libxdp's dispatcher needs")
	case errors.Is(err, libxdp.ErrNoFreplace):
		return Warning(check, err.Error(), `use dispatcher "linked", which "auto" takes; "libxdp", xdp-loader and chains of members with differing licences need it`)
	}
	return Warning(check, err.Error(), "run xdpctl as root")
}

func examineBPFFS(n *state.Node) Finding {
	const check = "bpffs"
	on, err := n.BPFFS.Mounted()
	if err == nil && !on {
		err = n.BPFFS.Mountable()
	}
	switch {
	case err != nil:
		message, do, _ := strings.Cut(err.Error(), "; as root of the node run: ")
		return Failing(check, message, do)
	case !on:
		return Warning(check, "none at "+n.BPFFS.Root+"; the first ADD or load mounts it", fmt.Sprintf("nothing, or mount -t bpf bpf %s", n.BPFFS.Root))
	}
	if err := unix.Access(n.BPFFS.Root, unix.W_OK); err != nil {
		return Failing(check, fmt.Sprintf("%s cannot be written to: %v", n.BPFFS.Root, err), "run xdpctl as root, and mount it read-write")
	}
	return OK(check, "mounted at "+n.BPFFS.Root)
}
