// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

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
