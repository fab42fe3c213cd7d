// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// furnish turns fresh namespaces into an empty node. It runs in process 1 of them.
func furnish() error {
	// Otherwise every mount below would show up on the machine.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making / private: %w", err)
	}
	for _, m := range []struct{ fstype, target, options string }{
		{"proc", "/proc", ""}, // of the new pid namespace
		{"sysfs", "/sys", ""}, // of the new network namespace
		{"bpf", "/sys/fs/bpf", "mode=0700"},
		{"tmpfs", "/run", "mode=0755"},
	} {
		if err := unix.Mount(m.fstype, m.target, m.fstype, 0, m.options); err != nil {
			return fmt.Errorf("mounting %s at %s: %w", m.fstype, m.target, err)
		}
	}
	if err := os.Mkdir("/run/netns", 0o755); err != nil {
		return err
	}
	if err := hide("/var/lib", "xdp-chain", "cni"); err != nil {
		return fmt.Errorf("hiding the machine's state below /var/lib: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding lo: %w", err)
	}
	return netlink.LinkSetUp(lo)
}

// hide puts a tmpfs over dir that shows all of dir except the named entries,
// which can then be made anew without a trace on the machine's disk.
func hide(dir string, names ...string) error {
	hidden := make(map[string]bool, len(names))
	for _, name := range names {
		hidden[name] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	// A tmpfs over dir would hide the sources of the bind mounts, so it is filled
	// elsewhere and moved there.
	const staging = "/run/sandbox"
	if err := os.Mkdir(staging, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", staging, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mounting tmpfs at %s: %w", staging, err)
	}
	for _, entry := range entries {
		if hidden[entry.Name()] {
			continue
		}
		if err := show(filepath.Join(dir, entry.Name()), filepath.Join(staging, entry.Name()), entry); err != nil {
			return err
		}
	}
	if err := unix.Mount(staging, dir, "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("moving %s to %s: %w", staging, dir, err)
	}
	return os.Remove(staging)
}

// show makes target the same as source: a link is copied, a folder bound. Single
// files of /var/lib are of no interest to any network plugin.
func show(source, target string, entry os.DirEntry) error {
	switch entry.Type() {
	case os.ModeSymlink:
		to, err := os.Readlink(source)
		if err != nil {
			return err
		}
		return os.Symlink(to, target)
	case os.ModeDir:
		if err := os.Mkdir(target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("binding %s at %s: %w", source, target, err)
		}
	}
	return nil
}
