// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
)

func exampleFindings() []doctor.Finding {
	return []doctor.Finding{
		doctor.OK("kernel", "Linux 6.12.9"),
		doctor.Warning("plugin", "/opt/cni/bin/xdp-chain is v0.2.0, and xdpctl is v0.3.0", "build both of one checkout, and replace /opt/cni/bin/xdp-chain by a rename: running pods are not touched"),
		doctor.Failing("conflist", "10-podnet.conflist: plugins[1]: mode: \x1b[2J", "mend it"),
	}
}

func TestFindingsFitTheTerminal(t *testing.T) {
	wantText(t, `
ok       kernel       Linux 6.12.9
warning  plugin       /opt/cni/bin/xdp-chain is v0.2.0, and xdpctl is v0.3.0
                      to do: build both of one checkout, and replace
                      /opt/cni/bin/xdp-chain by a rename: running pods are not
                      touched
failing  conflist     10-podnet.conflist: plugins[1]: mode: \x1b[2J
                      to do: mend it
`, findingsText(render.Screen{Width: 80}, exampleFindings(), false))
}

func TestFindingsInColour(t *testing.T) {
	got := findingsText(render.Screen{Colour: true}, exampleFindings(), true)
	if !strings.HasPrefix(got, "\x1b[33mwarning\x1b[0m  plugin ") || !strings.Contains(got, "\x1b[31mfailing\x1b[0m  conflist ") {
		t.Errorf("printed %q", got)
	}
}

func TestExamineCatalog(t *testing.T) {
	// A folder that root alone may write to, as the catalog's has to be.
	dir, err := os.MkdirTemp("/run", "catalog")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if f := examineCatalog(dir); f.State != doctor.StateOK {
		t.Errorf("an empty folder: %+v", f)
	}
	file := filepath.Join(dir, "mine.yaml")
	if err := os.WriteFile(file, []byte("name: mine\nobjekt: /opt/mine.o\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if f := examineCatalog(dir); f.State != doctor.StateFailing || !strings.Contains(f.Found, file) || strings.Contains(f.Found, "\n") {
		t.Errorf("a file that is at fault: %+v", f)
	}
}
