// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// path is where the guest's programs are: Debian's, and busybox's for the rest.
const path = "/usr/sbin:/usr/bin:/sbin:/bin:" + applets

// applets is where busybox's links to itself are put.
const applets = "/busybox"

// mountAll turns what the kernel leaves behind into a machine that programs expect.
// No bpffs is mounted: who needs one mounts it, as on a node.
func mountAll() error {
	for _, m := range []struct{ fstype, target, options string }{
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""},
		{"devtmpfs", "/dev", ""},
		{"tmpfs", "/dev/shm", "mode=1777"},
		{"tmpfs", "/tmp", "mode=1777"},
		{"tmpfs", "/run", "mode=0755"},
		{"cgroup2", "/sys/fs/cgroup", ""},
	} {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.fstype, m.target, m.fstype, 0, m.options); err != nil {
			return fmt.Errorf("mounting %s at %s: %w", m.fstype, m.target, err)
		}
	}
	// Before 5.11 the kernel charges maps and programs to this limit, 64 KiB. A
	// runtime's service file lifts it for the plugins that it starts.
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unlimited); err != nil {
		return fmt.Errorf("lifting the limit of locked memory: %w", err)
	}
	if err := os.Mkdir(applets, 0o755); err != nil {
		return err
	}
	if out, err := exec.Command("/bin/busybox", "--install", "-s", applets).CombinedOutput(); err != nil {
		return fmt.Errorf("linking busybox's applets: %w: %s", err, out)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding lo: %w", err)
	}
	return netlink.LinkSetUp(lo)
}

// load loads kernel modules in the order given.
func load(paths []string) error {
	for _, path := range paths {
		if err := loadOne(path); err != nil {
			return fmt.Errorf("loading %s: %w", path, err)
		}
	}
	return nil
}

func loadOne(path string) error {
	module, err := os.Open(path)
	if err != nil {
		return err
	}
	defer module.Close()
	err = unix.FinitModule(int(module.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) {
		return nil // the kernel has it built in
	}
	return err
}
