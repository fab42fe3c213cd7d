// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"path/filepath"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// release is one containerd as hack/containerd.sh brings it.
type release struct {
	name string
	// containerd's binary, beside which lies its shim.
	containerd string
	// polls tells that it asks the plugins for STATUS, as it does from 2.1 on.
	polls bool
}

// inDistribution is a file of the distribution's packages: runc, ctr and busybox
// serve every release.
func inDistribution(path string) string {
	return filepath.Join("../../.cache/containerd/distribution", path)
}

// onEach runs a test on each release of containerd.
func onEach(t *testing.T, f func(t *testing.T, r release)) {
	for _, r := range []release{
		{name: "distribution", containerd: inDistribution("usr/bin/containerd")},
		{name: "upstream", containerd: "../../.cache/containerd/upstream-*/containerd", polls: true},
	} {
		t.Run(r.name, func(t *testing.T) {
			r.containerd = file(t, r.containerd)
			testenv.NoLeaks(t)
			f(t, r)
		})
	}
}

// file returns the absolute path of the one file that a pattern leads to.
func file(t *testing.T, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err == nil && len(paths) != 1 {
		testenv.Skip(t, "hack/containerd.sh has not run: there is no "+pattern)
	}
	if err == nil {
		paths[0], err = filepath.Abs(paths[0])
	}
	if err != nil {
		t.Fatal(err)
	}
	return paths[0]
}
