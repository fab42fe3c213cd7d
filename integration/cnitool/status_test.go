// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

const bpffs = "/sys/fs/bpf"

func TestStatus(t *testing.T) {
	two := object(t, "two.o")
	tests := []struct {
		name string
		conf fields
		code uint // 0: ADD could work
		word string
	}{
		{"fine", plugintest.Entry(nil, fields{"name": "count"}, closing(1)), 0, ""},
		{"no programs", plugintest.Entry(nil), 0, ""},
		{"an object", plugintest.Entry(nil, fields{"name": "mine", "object": two, "function": "first"}), 0, ""},
		{"object missing", plugintest.Entry(nil, fields{"name": "mine", "object": "/nowhere/mine.o"}), 50, "/nowhere/mine.o"},
		{"not a built-in", plugintest.Entry(nil, fields{"name": "nonsense"}), 50, "nonsense"},
		{"unknown field", plugintest.Entry(fields{"sides": "pod"}), 50, "sides"},
		{"wrong type", plugintest.Entry(fields{"side": 7}), 50, "side"},
		{"global out of range", plugintest.Entry(nil, fields{"name": "mine", "object": two, "function": "first", "globals": fields{"limit": 256}}), 50, "limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			tt.conf["cniVersion"] = "1.1.0"
			node := &plugintest.Pod{}
			if tt.code == 0 {
				node.Must(t, "STATUS", tt.conf)
				return
			}
			node.Refuse(t, "STATUS", tt.conf, tt.code, tt.word)
		})
	}
}

func TestStatusByLibcni(t *testing.T) {
	testenv.NoLeaks(t)
	list := pluginList(t, "ptp", "1.1.0", families[0], ours(nil, fields{"name": "count"}))
	r := newLibcni(t, list)
	if err := r.cni.GetStatusNetworkList(t.Context(), r.list); err != nil {
		t.Errorf("STATUS: %s", plugintest.Describe(err))
	}
	list["plugins"].([]fields)[1] = ours(nil, fields{"name": "nonsense"})
	r.configure(t, list)
	if err := r.cni.GetStatusNetworkList(t.Context(), r.list); err == nil {
		t.Error("STATUS succeeds with a program that there is not")
	}
}

// unmountBPFFS leaves the node without bpffs until the test is over.
func unmountBPFFS(t *testing.T) {
	t.Helper()
	if err := unix.Unmount(bpffs, 0); err != nil {
		t.Fatalf("unmounting bpffs: %v", err)
	}
	t.Cleanup(func() {
		var st unix.Statfs_t
		if err := unix.Statfs(bpffs, &st); err != nil || st.Type == unix.BPF_FS_MAGIC {
			return // the plugin has mounted it
		}
		if err := unix.Mount("bpf", bpffs, "bpf", 0, "mode=0700"); err != nil {
			t.Errorf("mounting bpffs again: %v", err)
		}
	})
}

// A node without bpffs gets it mounted by the first ADD, once.
func TestBPFFSIsMounted(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	conf := p.Chained(nil, fields{"name": "count"})
	// The machine may have some, which lie below the sandbox's own /sys.
	want := mountsAt(t, bpffs)
	unmountBPFFS(t)
	p.Must(t, "ADD", conf)
	if got := mountsAt(t, bpffs); got != want {
		t.Errorf("%d mounts at %s, want %d", got, bpffs, want)
	}
	p.Must(t, "CHECK", conf)
	p.Must(t, "DEL", conf)
}

// Where it cannot be mounted, ADD and STATUS say so, and how it is to be done.
func TestBPFFSCannotBeMounted(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	conf := p.Chained(fields{"cniVersion": "1.1.0"}, fields{"name": "count"})
	// There is no folder to mount it on, and none can be made.
	if err := unix.Mount("tmpfs", "/sys/fs", "tmpfs", unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount("/sys/fs", 0); err != nil {
			t.Error(err)
		}
	})
	p.Refuse(t, "ADD", conf, 105, "mount", bpffs)
	p.Refuse(t, "STATUS", conf, 50, "mount", bpffs)
	p.Must(t, "DEL", conf)
}

// Where objects cannot be kept, ADD and STATUS say so.
func TestStoreCannotBeWritten(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	conf := p.Chained(fields{"cniVersion": "1.1.0"}, fields{"name": "count"})
	if err := unix.Mount("tmpfs", "/var/lib", "tmpfs", unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount("/var/lib", 0); err != nil {
			t.Error(err)
		}
	})
	p.Refuse(t, "ADD", conf, 5, "/var/lib/xdp-chain", "read-only")
	p.Refuse(t, "STATUS", conf, 50, "/var/lib/xdp-chain", "read-only")
	p.Must(t, "DEL", conf)
}

func mountsAt(t *testing.T, path string) (count int) {
	t.Helper()
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if f := strings.Fields(line); len(f) > 4 && f[4] == path {
			count++
		}
	}
	return count
}
