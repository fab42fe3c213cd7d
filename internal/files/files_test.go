// SPDX-License-Identifier: Apache-2.0

package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestNames(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"b", "a", ".c"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names, err := Names(folder)
	if diff := cmp.Diff([]string{".c", "a", "b"}, names); diff != "" || err != nil {
		t.Errorf("%v, names (-want +got):\n%s", err, diff)
	}
	if names, err := Names(filepath.Join(folder, "not")); len(names) != 0 || err != nil {
		t.Errorf("a folder that is not there: %v, %v", names, err)
	}
	if _, err := Names(filepath.Join(folder, "a")); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file: %v", err)
	}
}

func TestReadAtMost(t *testing.T) {
	if content, err := ReadAtMost(strings.NewReader("1234"), 4); string(content) != "1234" || err != nil {
		t.Errorf("as much as is allowed: %q, %v", content, err)
	}
	if _, err := ReadAtMost(strings.NewReader("12345"), 4); err == nil || !strings.Contains(err.Error(), "more than the 4 bytes") {
		t.Errorf("more than is allowed: %v", err)
	}
	if _, err := ReadAtMost(iotest.ErrReader(io.ErrClosedPipe), 4); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("what cannot be read: %v", err)
	}
}

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

func TestReadTrusted(t *testing.T) {
	path := install(t)
	linked := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, linked); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, linked} {
		if content, err := ReadTrusted(path, limit); err != nil || string(content) != "content" {
			t.Errorf("%q, %v", content, err)
		}
	}
	t.Chdir(filepath.Dir(path))
	if content, err := ReadTrusted("file", limit); err != nil || string(content) != "content" {
		t.Errorf("by a relative path: %q, %v", content, err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"file", linked} {
		if _, err := ReadTrusted(path, limit); err == nil {
			t.Errorf("%s is read from a folder that all can write to", path)
		}
	}
	if err := os.Chmod(filepath.Dir(path), 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadTrusted(path, limit); err != nil {
		t.Errorf("in a sticky folder: %v", err)
	}
}

func TestReadTrustedRefuses(t *testing.T) {
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
			_, err := ReadTrusted(path, limit)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%v, want %q", err, test.want)
			}
			if missing := test.want == "no such file"; errors.Is(err, fs.ErrNotExist) != missing {
				t.Errorf("%v satisfies fs.ErrNotExist: %v", err, !missing)
			}
		})
	}
}

func TestTrustedNames(t *testing.T) {
	dir := filepath.Dir(install(t))
	if err := os.Mkdir(filepath.Join(dir, "another"), 0o755); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, linked); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, linked} {
		names, err := TrustedNames(dir)
		if diff := cmp.Diff([]string{"another", "file"}, names); diff != "" || err != nil {
			t.Errorf("%v, names (-want +got):\n%s", err, diff)
		}
	}
	if _, err := TrustedNames(filepath.Join(dir, "not")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if _, err := TrustedNames(filepath.Join(dir, "file")); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file: %v", err)
	}
	if err := os.Chmod(dir, 0o775); err != nil {
		t.Fatal(err)
	}
	if _, err := TrustedNames(dir); err == nil || !strings.Contains(err.Error(), dir+" is writable by others than root (mode 0775)") {
		t.Errorf("a folder of a group: %v", err)
	}
}
