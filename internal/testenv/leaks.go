// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
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
