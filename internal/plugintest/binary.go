// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// dir is where the binaries and the files of tests are put: on the private /run, in
// folders that nobody but root can write to.
const dir = "/run/plugintest"

// built returns the folder with the binaries.
var built = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("XDP_CHAIN_BIN"); given != "" {
		return given, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	const module = "github.com/xdp-chain/xdp-chain/"
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", dir+"/", module+"plugins/meta/xdp-chain", module+"cmd/xdpctl")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

// Binary returns the path of a binary under test: xdp-chain or xdpctl.
func Binary(t testing.TB, name string) string {
	t.Helper()
	folder, err := built()
	if err != nil {
		t.Fatalf("building the binaries under test: %v", err)
	}
	return filepath.Join(folder, name)
}

// CopyOf returns the path of a copy of a file, in a place and with a mode that the
// plugin accepts whatever the checkout's are.
func CopyOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return File(t, filepath.Base(path), content)
}

// File writes a file that root alone may write to, and returns its path. It goes
// with the test.
func File(t *testing.T, name string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	own, err := os.MkdirTemp(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(own) })
	path := filepath.Join(own, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
