// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// awaitGracePeriod returns when every packet that had entered an XDP program
// before the call has left it. XDP programs run under rcu_read_lock (or with
// bottom halves off, which counts as the same since Linux 5.0), and to put a map
// into a map of maps is to call synchronize_rcu (maybe_wait_bpf_programs of the
// kernel's kernel/bpf/syscall.c, in 5.10 and later). membarrier would do the same with one
// system call, but fails on nodes with nohz_full CPUs.
//
// Dies in it: the kernel takes both maps with the process.
func awaitGracePeriod() error {
	inner := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	outer, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "grace_period", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1,
		InnerMap: inner,
	})
	if err != nil {
		return fmt.Errorf("make a map to wait for the kernel's grace period: %w", err)
	}
	defer outer.Close()
	element, err := ebpf.NewMap(inner)
	if err != nil {
		return fmt.Errorf("make a map to wait for the kernel's grace period: %w", err)
	}
	defer element.Close()
	if err := outer.Put(uint32(0), element); err != nil {
		return fmt.Errorf("wait for the kernel's grace period: %w", err)
	}
	return nil
}
