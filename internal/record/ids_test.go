// SPDX-License-Identifier: Apache-2.0

package record

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/files"
)

func take(t *testing.T, d Dir, n int) ID {
	t.Helper()
	first, err := d.TakeIDs(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return first
}

func TestTakeIDs(t *testing.T) {
	d := Dir{Root: filepath.Join(t.TempDir(), "root")}
	for i, tt := range []struct {
		n    int
		want ID
	}{{1, 1}, {3, 2}, {1, 5}} {
		if got := take(t, d, tt.n); got != tt.want {
			t.Errorf("%d: the first of %d is %d, want %d", i, tt.n, got, tt.want)
		}
	}
	if names, err := files.Names(d.Root); err != nil || !slices.Equal(names, []string{"last-id.5"}) {
		t.Errorf("files %q, %v", names, err)
	}
}

func TestTakeIDsWhereTheLastOneIsLost(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	r, err := decodeRecord([]byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	pending := *r.State
	r.State.Members = []Member{{ID: 7}}
	r.State.Members[0].Name = "acl"
	pending.Members = []Member{{ID: 9}}
	pending.Members[0].Name = "acl"
	r.Pending = &pending
	if err := d.Save(held(r.Key), r); err != nil {
		t.Fatal(err)
	}
	if got := take(t, d, 1); got != 10 {
		t.Errorf("with member 9 in a chain: %d", got)
	}
}

func TestTakeIDsUntilNoneAreLeft(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	if err := os.WriteFile(d.lastIDFile(maxID-2), nil, fileMode); err != nil {
		t.Fatal(err)
	}
	if _, err := d.TakeIDs(t.Context(), 3); err == nil {
		t.Error("took three of two")
	}
	if got := take(t, d, 2); got != maxID-1 {
		t.Errorf("took %d", got)
	}
	if _, err := d.TakeIDs(t.Context(), 1); err == nil {
		t.Error("took one of none")
	}
}

// Who has stopped with the ids in hand keeps others waiting no longer than these have time.
func TestTakeIDsWaitsNotForEver(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	lock, err := d.lockIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := d.TakeIDs(soon, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	lock.Close()
	if got := take(t, d, 1); got != 1 {
		t.Errorf("took %d", got)
	}
}

func TestTakeIDsAtOnce(t *testing.T) {
	d := Dir{Root: filepath.Join(t.TempDir(), "root")}
	var all sync.WaitGroup
	taken := make([]ID, 64)
	for i := range taken {
		all.Go(func() {
			first, err := d.TakeIDs(t.Context(), 2)
			if err != nil {
				t.Error(err)
			}
			taken[i] = first
		})
	}
	all.Wait()
	slices.Sort(taken)
	for i, id := range taken {
		if id != ID(2*i+1) {
			t.Fatalf("taken two at a time: %v", taken)
		}
	}
}
