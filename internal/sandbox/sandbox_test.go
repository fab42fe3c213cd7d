// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestEnterGivesAnEmptyNode(t *testing.T) {
	for path, want := range map[string]int64{
		"/sys/fs/bpf": unix.BPF_FS_MAGIC, "/run": unix.TMPFS_MAGIC, "/var/lib": unix.TMPFS_MAGIC,
	} {
		var st unix.Statfs_t
		if err := unix.Statfs(path, &st); err != nil {
			t.Errorf("%s: %v", path, err)
		} else if st.Type != want {
			t.Errorf("%s is a file system of type %#x, want %#x", path, st.Type, want)
		}
	}
	for _, path := range []string{"/var/lib/xdp-chain", "/var/lib/cni", "/run/xdp-chain"} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s: %v, want not there", path, err)
		}
	}
	entries, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Fatal(err)
	}
	var interfaces []string
	for _, entry := range entries {
		if entry.Type() == os.ModeSymlink { // bonding has a file there
			interfaces = append(interfaces, entry.Name())
		}
	}
	if !slices.Equal(interfaces, []string{"lo"}) {
		t.Errorf("/sys/class/net holds %v, want lo alone", interfaces)
	}
	if os.Getpid() != 1 {
		t.Errorf("process id %d, want 1", os.Getpid())
	}
}

// Mounts made in the namespaces must not show on the machine, nor the reverse:
// the program's own folders are the machine's.
func TestTempDirIsShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cat", path).CombinedOutput(); err != nil || string(out) != "x" {
		t.Errorf("a child reads %q, %v", out, err)
	}
}
