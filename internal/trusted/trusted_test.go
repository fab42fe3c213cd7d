// SPDX-License-Identifier: Apache-2.0

package trusted

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

const limit = 10

// install writes a file into a new folder, as root would, and returns its path.
func install(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		testenv.Skip(t, "needs root, to whom the files must belong")
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadFile(t *testing.T) {
	path := install(t)
	linked := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, linked); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, linked} {
		if content, err := ReadFile(path, limit); err != nil || string(content) != "content" {
			t.Errorf("%q, %v", content, err)
		}
	}
	t.Chdir(filepath.Dir(path))
	if content, err := ReadFile("file", limit); err != nil || string(content) != "content" {
		t.Errorf("by a relative path: %q, %v", content, err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"file", linked} {
		if _, err := ReadFile(path, limit); err == nil {
			t.Errorf("%s is read from a folder that all can write to", path)
		}
	}
	if err := os.Chmod(filepath.Dir(path), 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path, limit); err != nil {
		t.Errorf("in a sticky folder: %v", err)
	}
}

func TestReadFileRefuses(t *testing.T) {
	tests := []struct {
		name string
		make func(path string) error
		want string
	}{
		{"missing", os.Remove, "no such file"},
		{"dangling", func(path string) error { return errors.Join(os.Remove(path), os.Symlink(path+".not", path)) }, "no such file"},
		{"link to itself", func(path string) error { return errors.Join(os.Remove(path), os.Symlink(path, path)) }, "too many links"},
		{"folder", func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) }, "a folder, not a regular file"},
		{"FIFO", func(path string) error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o644)) }, "a FIFO, not a regular file"},
		{"device", func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/dev/null", path)) }, "a device, not a regular file"},
		{"too large", func(path string) error { return os.Truncate(path, limit+1) }, "11 bytes; at most 10"},
		{"larger than it says", func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/proc/self/status", path)) }, "more than the 10 bytes"},
		{"writable by the group", func(path string) error { return os.Chmod(path, 0o664) }, "the file is writable by others than root (mode 0664)"},
		{"writable by all", func(path string) error { return os.Chmod(path, 0o646) }, "the file is writable by others than root (mode 0646)"},
		{"another's", func(path string) error { return os.Chown(path, 65534, 0) }, "the file belongs to user 65534"},
		{"in another's folder", func(path string) error { return os.Chown(filepath.Dir(path), 65534, 0) }, "belongs to user 65534"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := install(t)
			if err := test.make(path); err != nil {
				t.Fatal(err)
			}
			_, err := ReadFile(path, limit)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%v, want %q", err, test.want)
			}
			if missing := test.want == "no such file"; errors.Is(err, fs.ErrNotExist) != missing {
				t.Errorf("%v satisfies fs.ErrNotExist: %v", err, !missing)
			}
		})
	}
}

func TestReadDir(t *testing.T) {
	dir := filepath.Dir(install(t))
	if err := os.Mkdir(filepath.Join(dir, "another"), 0o755); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, linked); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, linked} {
		names, err := ReadDir(dir)
		if diff := cmp.Diff([]string{"another", "file"}, names); diff != "" || err != nil {
			t.Errorf("%v, names (-want +got):\n%s", err, diff)
		}
	}
	if _, err := ReadDir(filepath.Join(dir, "not")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if _, err := ReadDir(filepath.Join(dir, "file")); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file: %v", err)
	}
	if err := os.Chmod(dir, 0o775); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadDir(dir); err == nil || !strings.Contains(err.Error(), dir+" is writable by others than root (mode 0775)") {
		t.Errorf("a folder of a group: %v", err)
	}
}
