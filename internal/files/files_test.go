// SPDX-License-Identifier: Apache-2.0

package files

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
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
