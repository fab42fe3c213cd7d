// SPDX-License-Identifier: Apache-2.0

package load

import (
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// fragsSince is the version code of Linux 5.18, the first to have
// BPF_F_XDP_HAS_FRAGS.
const fragsSince = 5<<16 | 18<<8

// TakesFrags reports whether a chain of these members takes packets of several
// buffers: every member does, and the kernel knows of it. A kernel that does not
// gives no program such packets, so members made for them run there as well.
func TakesFrags(members []dispatcher.Member) bool {
	for i := range members {
		if !MemberFrags(&members[i]) {
			return false
		}
	}
	return kernelHasFrags()
}

// MemberFrags reports whether a member takes packets of several buffers: its program
// does, and so do its second stages.
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
