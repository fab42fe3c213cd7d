// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/link"

	"github.com/xdp-chain/xdp-chain/internal/mountinfo"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// HookHolder is what holds a foreign program's bpf_link.
type HookHolder struct {
	// LinkID is the link's; 0 where the same program is on the same index of several
	// namespaces, so that which link it is cannot be told.
	LinkID uint32 `json:"linkID,omitempty"`
	// Pins are where the link is pinned, on any bpffs mounted here.
	Pins []string `json:"pins,omitempty"`
	// Processes are those that have the link open.
	Processes []HolderProcess `json:"processes,omitempty"`
}

// HolderProcess is a process that holds a bpf_link.
type HolderProcess struct {
	PID  int    `json:"pid"`
	Name string `json:"name"` // as /proc/<pid>/comm has it
}

// findHolder fills in what holds a program that is no chain of ours.
func (l *hookLook) findHolder(h *Hook, i *netdev.Interface, a netdev.Attached) error {
	links, err := l.links()
	if err != nil {
		return err
	}
	if a, err = i.HeldBy(a, links); err != nil {
		return err
	}
	h.Attach = a.Attach
	if a.Attach == chain.AttachLink {
		h.Holder = &HookHolder{LinkID: uint32(a.LinkID)}
	}
	return nil
}

// nameHolders says where the links of foreign programs are pinned, and which processes
// have them open. It looks through all pins and all open files, so only where there are
// such links.
func nameHolders(ours string, hooks []Hook) error {
	holders := make(map[uint32]*HookHolder)
	for _, h := range hooks {
		if h.Holder != nil && h.Holder.LinkID != 0 {
			holders[h.Holder.LinkID] = h.Holder
		}
	}
	if len(holders) == 0 {
		return nil
	}
	return errors.Join(namePins(filepath.Join(ours, "xdp-chain"), holders), nameProcesses(holders))
}

// namePins looks for pins of the links on every bpffs. In our own part of one there is
// none but that of a chain whose record was lost, and that is among no maps.
func namePins(ours string, holders map[uint32]*HookHolder) error {
	mounts, err := mountinfo.Points(func(m mountinfo.Mount) bool { return m.Type == "bpf" })
	if err != nil {
		return fmt.Errorf("look for bpf file systems: %w", err)
	}
	slices.Sort(mounts) // one over the other shows the same files
	var errs []error
	for _, mount := range slices.Compact(mounts) {
		errs = append(errs, filepath.WalkDir(mount, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist): // gone since
				return nil
			case err != nil:
				return fmt.Errorf("look for pins: %w", err)
			case entry.IsDir() && entry.Name() == "maps" && strings.HasPrefix(path, ours):
				return fs.SkipDir
			case entry.Type().IsRegular():
				if holder := holders[pinnedLinkID(path)]; holder != nil {
					holder.Pins = append(holder.Pins, path)
				}
			}
			return nil
		}))
	}
	return errors.Join(errs...)
}

// pinnedLinkID returns the id of the link pinned at a path, 0 for what is none.
func pinnedLinkID(path string) uint32 {
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return 0
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return 0
	}
	return uint32(info.ID)
}

// nameProcesses looks for the links among the open files of all processes. A process that
// ends meanwhile holds nothing any more.
func nameProcesses(holders map[uint32]*HookHolder) error {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	for _, process := range processes {
		files, _ := os.ReadDir(filepath.Join(process, "fd")) // those read before an error count
		held := make(map[*HookHolder]bool)
		for _, file := range files {
			if holder := holders[openLinkID(process, file.Name())]; holder != nil {
				held[holder] = true
			}
		}
		for holder := range held {
			holder.Processes = append(holder.Processes, processAt(process))
		}
	}
	return nil
}

// openLinkID returns the id of the link that an open file is, 0 for what is none. The
// kernel's names are those of bpf_link_settle and bpf_link_show_fdinfo
// (kernel/bpf/syscall.c).
func openLinkID(process, fd string) uint32 {
	target, err := os.Readlink(filepath.Join(process, "fd", fd))
	if err != nil || target != "anon_inode:bpf_link" {
		return 0
	}
	content, err := os.ReadFile(filepath.Join(process, "fdinfo", fd))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, "link_id:"); ok {
			id, _ := strconv.ParseUint(strings.TrimSpace(value), 10, 32) // 0 for what is no number
			return uint32(id)
		}
	}
	return 0
}

func processAt(path string) HolderProcess {
	pid, _ := strconv.Atoi(filepath.Base(path)) // nothing but digits
	name, _ := os.ReadFile(filepath.Join(path, "comm"))
	return HolderProcess{PID: pid, Name: strings.TrimSpace(string(name))}
}
