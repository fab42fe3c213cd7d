// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadOnlyLeavesBrokenFiles(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	put(t, d.chain(key), []byte("{"))
	before := modes(t, d)
	if _, err := d.ReadOnly().Load(key); !errors.Is(err, ErrBroken) || errors.As(err, new(*BrokenError)) {
		t.Errorf("got %v, want an ErrBroken that says nothing of setting aside", err)
	}
	if diff := cmp.Diff(before, modes(t, d)); diff != "" {
		t.Errorf("a look has changed (-before +after):\n%s", diff)
	}
	if paths, err := d.Broken(); len(paths) != 0 || err != nil {
		t.Errorf("set aside are %v, %v", paths, err)
	}
	_, err := d.Load(key)
	var broken *BrokenError
	if !errors.As(err, &broken) {
		t.Fatalf("got %v, want a BrokenError", err)
	}
	if paths, err := d.Broken(); !cmp.Equal(paths, []string{broken.SetAside}) || err != nil {
		t.Errorf("set aside are %v, %v; want %s", paths, err, broken.SetAside)
	}
}

func TestAbandonedAreOldAlone(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	if paths, err := d.Abandoned(); len(paths) != 0 || err != nil {
		t.Errorf("without a folder: %v, %v", paths, err)
	}
	old, young := filepath.Join(d.tmp(), ".4097-3.json1"), filepath.Join(d.tmp(), ".4097-4.json2")
	put(t, old, nil)
	put(t, young, nil)
	past := time.Now().Add(-abandoned)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	if paths, err := d.Abandoned(); !cmp.Equal(paths, []string{old}) || err != nil {
		t.Errorf("abandoned are %v, %v; want %s", paths, err, old)
	}
}
