// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// binDir is where the binaries under test and the objects are put: on the private
// /run, in folders that nobody but root can write to.
const binDir = "/run/cnitool-suite"

// peersDir is where hack/cni-plugins.sh puts other people's plugins.
var peersDir = func() string {
	path, err := filepath.Abs("../../.cache/bin")
	if err != nil {
		panic(err)
	}
	return path
}()

var build = sync.OnceValues(func() (string, error) {
	if err := os.MkdirAll(binDir, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", binDir+"/", "../../plugins/meta/xdp-chain", "../../cmd/xdpctl")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
})

// binary returns the path of a binary under test: xdp-chain or xdpctl.
func binary(t *testing.T, name string) string {
	t.Helper()
	if out, err := build(); err != nil {
		t.Fatalf("building the binaries under test: %v\n%s", err, out)
	}
	return filepath.Join(binDir, name)
}

// peer returns the path of one of the pinned binaries of the CNI project.
func peer(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(peersDir, name)
	if _, err := os.Stat(path); err != nil {
		testenv.Skip(t, "hack/cni-plugins.sh has not run: "+err.Error())
	}
	return path
}

// object returns the path of a test object, in a place and with a mode that the
// plugin accepts whatever the checkout's are.
func object(t *testing.T, name string) string {
	t.Helper()
	return copyOf(t, filepath.Join("testdata", name))
}

// copyOf returns the path of such a copy of any file.
func copyOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, filepath.Base(path), content)
}

// file writes a file that root alone may write to, and returns its path.
func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(binDir, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(binDir, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
