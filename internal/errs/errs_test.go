// SPDX-License-Identifier: Apache-2.0

package errs

import (
	"io/fs"
	"testing"
)

func TestWrapf(t *testing.T) {
	if err := Wrapf(nil, "reading %s", "it"); err != nil {
		t.Errorf("no error became %v", err)
	}
	err := Wrapf(fs.ErrNotExist, "reading %q, %d times", "100%", 2)
	if want := `reading "100%", 2 times: file does not exist`; err.Error() != want {
		t.Errorf("the error reads %q; want %q", err, want)
	}
	wrapper, ok := err.(interface{ Unwrap() error })
	if !ok || wrapper.Unwrap() != fs.ErrNotExist {
		t.Errorf("%v does not wrap what was given", err)
	}
}
