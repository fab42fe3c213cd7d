// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// leakGrace is how long what is on its way out may take: threads and killed
// processes end, and their files are closed, after the call that ended them.
const leakGrace = 3 * time.Second

// trace is one thing that must not outlive a test: a BPF object somebody holds, a
// pin, a file, a mount, a namespace, a process.
type trace struct {
	kind  string // program, map, link, pin, file, mount, netns, process
	id    uint32 // of a BPF object, else 0
	where string // path or holder
}

// NoLeaks notes what is there now, and at the end of the test fails it if more is
// there, naming each thing: programs, maps and links, pins on any bpffs, XDP
// programs on interfaces, files and folders in /run/xdp-chain, mounts, network
// namespaces and processes. Call it first, so that its check comes after every
// other cleanup, and not in tests that run in parallel.
//
// It looks at what can keep a BPF object alive (a file descriptor, a pin, an
// interface) in these namespaces, not at the kernel's lists of ids: those belong to
// the whole machine. An object that none of these holds, directly or through
// another object, is freed by the kernel.
func NoLeaks(t testing.TB) {
	t.Helper()
	before, err := traces()
	if err != nil {
		t.Fatalf("taking stock before the test: %v", err)
	}
	t.Cleanup(func() {
		t.Helper()
		left, err := leftAfter(before, leakGrace)
		if err != nil {
			t.Errorf("taking stock after the test: %v", err)
		}
		if len(left) > 0 {
			t.Errorf("left behind:\n\t%s", strings.Join(left, "\n\t"))
		}
	})
}

// leftAfter waits until nothing is there that was not before, and returns what is
// left when the grace is over.
func leftAfter(before map[trace]bool, grace time.Duration) ([]string, error) {
	for deadline := time.Now().Add(grace); ; time.Sleep(10 * time.Millisecond) {
		now, err := traces()
		if err != nil {
			return nil, err
		}
		for was := range before {
			delete(now, was)
		}
		if len(now) == 0 {
			return nil, nil
		}
		if time.Now().After(deadline) {
			return describe(now), nil
		}
	}
}

func describe(found map[trace]bool) []string {
	var lines []string
	for f := range found {
		line := f.kind
		if f.id != 0 {
			line += fmt.Sprintf(" %d %q", f.id, objectName(f.kind, f.id))
		}
		lines = append(lines, line+" "+f.where)
	}
	slices.Sort(lines)
	return lines
}

// traces lists everything that NoLeaks watches.
func traces() (map[trace]bool, error) {
	found := make(map[trace]bool)
	spaces := make(map[string]string) // network namespace -> a path that opens it
	if err := processTraces(found, spaces); err != nil {
		return nil, err
	}
	if err := mountTraces(found, spaces); err != nil {
		return nil, err
	}
	if err := treeTraces(found, "file", "/run/xdp-chain"); err != nil {
		return nil, err
	}
	if err := netnsTraces(found, spaces); err != nil {
		return nil, err
	}
	return found, nil
}

// permanent is what the first chain on a node brings and no chain takes away: the
// folders that all chains share, ours and libxdp's.
var permanent = map[string]bool{
	"/sys/fs/bpf/xdp-chain":        true,
	"/sys/fs/bpf/xdp-chain/chains": true,
	"/sys/fs/bpf/xdp-chain/node":   true,
	"/sys/fs/bpf/xdp-chain/netns":  true,
	"/sys/fs/bpf/xdp":              true,
	"/run/xdp-chain":               true,
	// What was found out about the kernel stays true until reboot.
	"/run/xdp-chain/kernel.json": true,
}

// isPermanent tells whether a path stays until reboot: also the file that is called after
// the last id given to a member.
func isPermanent(path string) bool {
	return permanent[path] || strings.HasPrefix(path, "/run/xdp-chain/last-id.")
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
		if err == nil && path != root && !isPermanent(path) {
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

// processTraces finds the processes, the BPF objects their files hold, and the
// network namespaces that their files and threads keep alive.
func processTraces(found map[trace]bool, spaces map[string]string) error {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || len(cmdline) == 0 {
			continue // gone, or a zombie: it holds nothing
		}
		command, _, _ := strings.Cut(string(cmdline), "\x00")
		holder := fmt.Sprintf("process %s (%s)", filepath.Base(dir), filepath.Base(command))
		found[trace{kind: "process", where: holder}] = true
		fileTraces(found, spaces, dir, holder)
		threads, err := filepath.Glob(filepath.Join(dir, "task/*/ns/net"))
		if err != nil {
			return err
		}
		for _, path := range threads {
			noteNetNS(spaces, path)
		}
	}
	return nil
}

// fileTraces finds what the open files of one process hold. Files that are closed
// meanwhile are skipped: they hold nothing any more.
func fileTraces(found map[trace]bool, spaces map[string]string, dir, holder string) {
	fds, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return
	}
	for _, fd := range fds {
		path := filepath.Join(dir, "fd", fd.Name())
		noteNetNS(spaces, path)
		target, err := os.Readlink(path)
		if err != nil || !strings.HasPrefix(target, "anon_inode:bpf") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, "fdinfo", fd.Name()))
		if err != nil {
			continue
		}
		if kind, id, ok := objectOf(string(content)); ok {
			found[trace{kind: kind, id: id, where: "open in " + holder}] = true
		}
	}
}

// noteNetNS enters path in spaces if it leads to a network namespace.
func noteNetNS(spaces map[string]string, path string) {
	target, err := os.Readlink(path)
	if err == nil && strings.HasPrefix(target, "net:[") {
		spaces[target] = path
	}
}

// objectOf reads which BPF object a file is from its fdinfo, the kernel's
// bpf_*_show_fdinfo in kernel/bpf/syscall.c. The file of a link also names its
// program, so links are looked for first.
func objectOf(fdinfo string) (kind string, id uint32, ok bool) {
	fields := make(map[string]string)
	for line := range strings.Lines(fdinfo) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	for _, o := range []struct{ field, kind string }{
		{"link_id", "link"}, {"prog_id", "program"}, {"map_id", "map"},
	} {
		if n, err := strconv.ParseUint(fields[o.field], 10, 32); err == nil {
			return o.kind, uint32(n), true
		}
	}
	return "", 0, false
}

// objectName is what the kernel calls an object, for messages.
func objectName(kind string, id uint32) string {
	switch kind {
	case "program":
		if p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id)); err == nil {
			defer p.Close()
			if info, err := p.Info(); err == nil {
				return info.Name
			}
		}
	case "map":
		if m, err := ebpf.NewMapFromID(ebpf.MapID(id)); err == nil {
			defer m.Close()
			if info, err := m.Info(); err == nil {
				return info.Name
			}
		}
	case "link":
		if l, err := link.NewFromID(link.ID(id)); err == nil {
			defer l.Close()
			if info, err := l.Info(); err == nil {
				return fmt.Sprintf("of program %d", info.Program)
			}
		}
	}
	return "gone"
}
