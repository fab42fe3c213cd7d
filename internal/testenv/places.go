// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// furniture is what the first chain on a node brings and no chain takes away: the
// folders that all chains share, ours and libxdp's.
var furniture = map[string]bool{
	"/sys/fs/bpf/xdp-chain":        true,
	"/sys/fs/bpf/xdp-chain/chains": true,
	"/sys/fs/bpf/xdp-chain/node":   true,
	"/sys/fs/bpf/xdp-chain/netns":  true,
	"/sys/fs/bpf/xdp":              true,
	"/run/xdp-chain":               true,
	// What was found out about the kernel stays true until reboot.
	"/run/xdp-chain/kernel.json": true,
}

// isFurniture tells whether a path stays until reboot: also the file that is called after
// the last id given to a member.
func isFurniture(path string) bool {
	return furniture[path] || strings.HasPrefix(path, "/run/xdp-chain/last-id.")
}

// mountTraces finds the mounts, the pins on each bpffs and the network namespaces
// that a mount keeps alive. Fields of mountinfo: proc_pid_mountinfo(5).
func mountTraces(found map[trace]bool, spaces map[string]string) error {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(content)) {
		head, tail, _ := strings.Cut(line, " - ")
		fields := strings.Fields(head)
		if len(fields) < 5 {
			return fmt.Errorf("mountinfo: cannot read line %q", line)
		}
		root, point := fields[3], fields[4]
		fstype, _, _ := strings.Cut(tail, " ")
		found[trace{kind: "mount", where: point + " " + fstype + " " + root}] = true
		switch {
		case fstype == "bpf":
			if err := treeTraces(found, "pin", point); err != nil {
				return err
			}
		case fstype == "nsfs" && strings.HasPrefix(root, "net:["):
			spaces[root] = point
		}
	}
	return nil
}

// treeTraces finds everything below root.
func treeTraces(found map[trace]bool, kind, root string) error {
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // root is not there, or path went away meanwhile
		}
		if err == nil && path != root && !isFurniture(path) {
			found[trace{kind: kind, where: path}] = true
		}
		return err
	})
}

// netnsTraces finds the network namespaces and the XDP programs in them. A
// namespace that goes away meanwhile takes its programs with it.
func netnsTraces(found map[trace]bool, spaces map[string]string) error {
	for name, path := range spaces {
		found[trace{kind: "netns", where: name}] = true
		ns, err := netns.GetFromPath(path)
		if err != nil {
			continue
		}
		err = attachedTraces(found, name, ns)
		ns.Close()
		if err != nil {
			return fmt.Errorf("listing the interfaces of %s, %s: %w", path, name, err)
		}
	}
	return nil
}

func attachedTraces(found map[trace]bool, name string, ns netns.NsHandle) error {
	// Without a family it wants all of them, and a kernel need not have XFRM.
	handle, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer handle.Close()
	links, err := handle.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		if xdp := l.Attrs().Xdp; xdp != nil && xdp.Attached {
			where := fmt.Sprintf("on interface %s of %s", l.Attrs().Name, name)
			found[trace{kind: "program", id: xdp.ProgId, where: where}] = true
		}
	}
	return nil
}
