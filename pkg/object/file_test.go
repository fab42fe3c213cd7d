// SPDX-License-Identifier: Apache-2.0

package object

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// install writes an object into a new folder, as root would, and returns its path.
func install(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		testenv.Skip(t, "needs root, to whom the files must belong")
	}
	path := filepath.Join(t.TempDir(), "plain.o")
	if err := os.WriteFile(path, content(t, "plain.o"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpen(t *testing.T) {
	path := install(t)
	linked := filepath.Join(t.TempDir(), "link.o")
	if err := os.Symlink(path, linked); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, linked} {
		o, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if o.Origin != path || o.Digest != load(t, "plain.o").Digest {
			t.Errorf("origin %s, digest %s", o.Origin, o.Digest)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name string
		make func(path string) error
		want string
	}{
		{"missing", os.Remove, "no such file"},
		{"folder", func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) }, "a folder, not a regular file"},
		{"FIFO", func(path string) error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o644)) }, "a FIFO, not a regular file"},
		{"device", func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/dev/null", path)) }, "a device, not a regular file"},
		{"too large", func(path string) error { return os.Truncate(path, MaxSize+1) }, "16777217 bytes"},
		{"writable by the group", func(path string) error { return os.Chmod(path, 0o664) }, "writable by others than root (mode 0664)"},
		{"writable by all", func(path string) error { return os.Chmod(path, 0o646) }, "writable by others than root (mode 0646)"},
		{"another's", func(path string) error { return os.Chown(path, 65534, 0) }, "belongs to user 65534"},
		{"in a writable folder", func(path string) error { return os.Chmod(filepath.Dir(path), 0o777) }, "is writable by others than root (mode 0777)"},
		{"in another's folder", func(path string) error { return os.Chown(filepath.Dir(path), 65534, 0) }, "belongs to user 65534"},
		{"not ELF", func(path string) error { return os.WriteFile(path, []byte("\x7fELS"), 0o644) }, "not an ELF file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := install(t)
			if err := test.make(path); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			wantError(t, err, "object "+path+": ", test.want)
			if test.name == "missing" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v does not satisfy errors.Is(err, fs.ErrNotExist)", err)
			}
		})
	}
}

func TestOpenTakesStickyFolders(t *testing.T) {
	path := install(t)
	if err := os.Chmod(filepath.Dir(path), 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err != nil {
		t.Error(err)
	}
}
