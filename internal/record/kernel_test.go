// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKernel(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	if _, err := d.LoadKernel(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before anything was found out: %v", err)
	}
	for _, missing := range []string{"trampolines", ""} {
		if err := d.SaveKernel(Kernel{NoFreplace: missing}); err != nil {
			t.Fatal(err)
		}
		got, err := d.LoadKernel()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Kernel{Version: Version, NoFreplace: missing}, got); diff != "" {
			t.Error(diff)
		}
	}
	if err := os.WriteFile(d.KernelPath(), []byte(`{"version":1,"noFreplace":`), fileMode); err != nil {
		t.Fatal(err)
	}
	if _, err := d.LoadKernel(); !errors.Is(err, ErrBroken) {
		t.Errorf("half a file: %v", err)
	}
	if _, err := d.LoadKernel(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after it was set aside: %v", err)
	}
}
