// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"path/filepath"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// fields are the fields of a plugin's entry, or of any JSON object.
type fields = plugintest.Fields

// Where hack/containerd.sh puts what the distribution's packages have, and the
// containerd that it builds.
const (
	distribution = "../../.cache/containerd/distribution"
	upstream     = "../../.cache/containerd/upstream-*/containerd"
)

// onEach runs a test on each containerd, of which it gets the path.
func onEach(t *testing.T, f func(t *testing.T, containerd string)) {
	t.Run("distribution", func(t *testing.T) {
		containerd := tool(t, "containerd")
		testenv.NoLeaks(t)
		f(t, containerd)
	})
	t.Run("upstream", func(t *testing.T) {
		containerd := file(t, upstream)
		testenv.NoLeaks(t)
		f(t, containerd)
	})
}

// tool returns the path of a command from the distribution's packages, whose folders
// are not everywhere one. runc, ctr and busybox serve each containerd.
func tool(t *testing.T, name string) string {
	t.Helper()
	for _, folder := range []string{"usr/bin", "usr/sbin", "bin", "sbin"} {
		if paths, _ := filepath.Glob(filepath.Join(distribution, folder, name)); len(paths) == 1 {
			return file(t, paths[0])
		}
	}
	return file(t, filepath.Join(distribution, "bin", name))
}

// file returns the absolute path of the one file that a pattern leads to.
func file(t *testing.T, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err == nil && len(paths) != 1 {
		testenv.Skip(t, "hack/cni-plugins.sh and hack/containerd.sh have not brought everything: no "+pattern)
	}
	if err == nil {
		paths[0], err = filepath.Abs(paths[0])
	}
	if err != nil {
		t.Fatal(err)
	}
	return paths[0]
}
