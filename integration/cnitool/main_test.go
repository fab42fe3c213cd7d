// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) {
	crashtest.Child(children)
	testenv.Main(m)
}

// fields are the fields of a plugin's entry, or of any JSON object.
type fields = plugintest.Fields

// peersDir is where hack/cni-plugins.sh puts other people's plugins.
var peersDir = func() string {
	path, err := filepath.Abs("../../.cache/bin")
	if err != nil {
		panic(err)
	}
	return path
}()

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
	return plugintest.CopyOf(t, filepath.Join("testdata", name))
}
