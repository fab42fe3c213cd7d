// SPDX-License-Identifier: Apache-2.0

package record

import (
	"fmt"
	"path/filepath"
)

// Kernel is what was found out about the running kernel at some cost, and what stays
// true until it is booted again.
type Kernel struct {
	// Version is the format's; [Dir.SaveKernel] sets it.
	Version int `json:"version"`
	// NoFreplace says what keeps the kernel from replacing functions of loaded
	// programs, which libxdp's dispatcher lives by; empty where it can.
	NoFreplace string `json:"noFreplace,omitempty"`
}

// KernelPath is the file that it is kept in. Removing that has everything found out anew.
func (d Dir) KernelPath() string { return filepath.Join(d.Root, "kernel"+suffix) }

// LoadKernel reads what was found out. Where nothing was, the error satisfies
// errors.Is(err, [fs.ErrNotExist]); otherwise errors are as those of [Dir.Load].
func (d Dir) LoadKernel() (Kernel, error) {
	var k Kernel
	if err := d.read(d.KernelPath(), func(content []byte) error { return decode(content, &k) }); err != nil {
		return Kernel{}, fmt.Errorf("load what is known of the kernel: %w", err)
	}
	return k, nil
}

// SaveKernel writes what was found out. It needs no lock: all who look find the same.
// A process that dies in here leaves the question open, and maybe a file in tmp.
func (d Dir) SaveKernel(k Kernel) error {
	k.Version = Version
	content, err := encode(k)
	if err == nil {
		err = d.replace(d.KernelPath(), content)
	}
	if err != nil {
		return fmt.Errorf("save what is known of the kernel: %w", err)
	}
	return nil
}
