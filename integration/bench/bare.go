// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// bare attaches a loaded program to a pod's interface and does nothing else: what
// the kernel alone takes.
type bare struct {
	program *ebpf.Program
	pod     *pod
	link    link.Link
}

func (b *bare) add() (took time.Duration, err error) {
	err = b.pod.do(func() error {
		start := time.Now()
		b.link, err = link.AttachXDP(link.XDPOptions{Program: b.program, Interface: b.pod.ifindex, Flags: link.XDPDriverMode})
		took = time.Since(start)
		return err
	})
	return took, err
}

func (b *bare) del() (time.Duration, error) {
	start := time.Now()
	err := b.link.Close()
	return time.Since(start), err
}
