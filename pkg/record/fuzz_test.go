// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"testing"
)

// FuzzRecord loads whatever bytes as a record: they are a record that comes back
// the same when saved and loaded, or they are set aside, or they are of a later
// version and stay.
func FuzzRecord(f *testing.F) {
	complete, err := encodeRecord(*full())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(complete), valid, "", "null", "{}", `{"version":2}`, `{"version":1,"key":"4097-3"}`,
		`{"version":1,"key":"4097-3","base":[{"member":"a","verdict":"drop","packets":18446744073709551615}]}`,
		`{"version":1,"key":"4097-3","pending":{"members":[{"name":"a","globals":{"x":null,"y":"\u2028<"}}]}}`,
	} {
		f.Add([]byte(seed))
	}
	d := Dir{f.TempDir()}
	f.Fuzz(func(t *testing.T, content []byte) {
		put(t, d.chain(key), content)
		r, err := d.Load(key)
		switch {
		case errors.Is(err, ErrVersion):
			return
		case err != nil:
			checkSetAside(t, err, content)
			if _, err := os.Stat(d.chain(key)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("still there: %v", err)
			}
			return
		}
		once, err := encodeRecord(*r)
		if err != nil {
			t.Fatalf("what was loaded cannot be saved: %v", err)
		}
		again, err := decodeRecord(once)
		if err != nil {
			t.Fatalf("what was saved cannot be loaded: %v", err)
		}
		twice, err := encodeRecord(*again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("saved, loaded and saved it changes, %v:\n%s\n%s", err, once, twice)
		}
	})
}

// checkSetAside fails unless err is a BrokenError whose file has the content.
func checkSetAside(t *testing.T, err error, content []byte) {
	t.Helper()
	var broken *BrokenError
	if !errors.As(err, &broken) {
		t.Fatalf("got %v; want a BrokenError", err)
	}
	if kept, err := os.ReadFile(broken.SetAside); err != nil || !bytes.Equal(kept, content) {
		t.Errorf("set aside %q, %v; want %q", kept, err, content)
	}
}
