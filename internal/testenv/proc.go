// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

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
