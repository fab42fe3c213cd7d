// SPDX-License-Identifier: Apache-2.0

package store

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// age makes an object look as if it had been put an hour ago.
func age(t *testing.T, s Store, name string) {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(s.blobPath(digest(load(t, name).Digest)), then, then); err != nil {
		t.Fatal(err)
	}
}

func TestPrune(t *testing.T) {
	s := newStore(t)
	if err := s.Prune(nil, 0); err != nil {
		t.Errorf("a store that does not exist: %v", err)
	}
	put(t, s, "plain.o", "maps.o", "globals.o", "several.o")
	for _, name := range []string{"plain.o", "maps.o", "globals.o"} {
		age(t, s, name)
	}
	put(t, s, "globals.o") // somebody wants it again
	if err := s.Prune(map[string]bool{load(t, "plain.o").Digest: true}, time.Minute); err != nil {
		t.Fatal(err)
	}
	want := []string{load(t, "plain.o").Digest, load(t, "globals.o").Digest, load(t, "several.o").Digest}
	if diff := cmp.Diff(want, checkLayout(t, s.Dir)); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	_, err := s.Get(load(t, "maps.o").Digest)
	wantError(t, err, "does not have it")
}

func TestPruneRemovesWhatWasLeftBehind(t *testing.T) {
	s := newStore(t)
	put(t, s, "plain.o")
	for _, path := range []string{s.path(".index.json123"), s.blobPath(digestOf([]byte("orphan")))} {
		if err := os.WriteFile(path, []byte("orphan"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Prune(nil, time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s went while somebody may have been writing it: %v", path, err)
		}
		then := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
		if err := s.Prune(nil, time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
	if got := checkLayout(t, s.Dir); len(got) != 1 {
		t.Errorf("the index holds %d objects; want 1", len(got))
	}
}
