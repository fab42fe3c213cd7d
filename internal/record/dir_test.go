// SPDX-License-Identifier: Apache-2.0

package record

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/internal/files"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestSaveAndLoad(t *testing.T) {
	d := Dir{Root: filepath.Join(t.TempDir(), "root")}
	if _, err := d.Load(key); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Load before Save: %v; want fs.ErrNotExist", err)
	}
	if keys, err := d.Keys(); len(keys) != 0 || err != nil {
		t.Errorf("keys %v, %v; want none", keys, err)
	}
	bare := &Record{Key: key, Interface: "eth0"}
	for _, want := range []*Record{bare, full()} {
		if err := d.Save(held(key), want); err != nil {
			t.Fatal(err)
		}
		want.Version = Version
		got, err := d.Load(key)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("record (-saved +loaded):\n%s", diff)
		}
	}
	put(t, filepath.Join(d.chains(), "README"), nil)
	if keys, err := d.Keys(); !cmp.Equal(keys, []chain.Key{key}) {
		t.Errorf("keys %v, %v; want %v", keys, err, key)
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	if err := d.Save(held(key), full()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Remove(held(key), key); err != nil {
			t.Fatal(err)
		}
		checkNothingLeft(t, d)
	}
}

func TestChangesWantTheLock(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	other := held{Cookie: key.Cookie, Ifindex: key.Ifindex + 1}
	if err := d.Save(other, full()); !errors.Is(err, ErrNotHeld) {
		t.Errorf("Save: %v; want ErrNotHeld", err)
	}
	if err := d.Remove(other, key); !errors.Is(err, ErrNotHeld) {
		t.Errorf("Remove: %v; want ErrNotHeld", err)
	}
	checkNothingLeft(t, d)
}

func TestSaveRefusesWhatLoadWould(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	for name, spoil := range map[string]func(*Record){
		"two members of one name": func(r *Record) { r.State.Members[1].Name = "acl" },
		"no such mode":            func(r *Record) { r.Pending.Mode = 9 },
		"global that is not JSON": func(r *Record) { r.State.Members[0].Globals["limit"] = []byte("{") },
	} {
		r := full()
		spoil(r)
		if err := d.Save(held(key), r); err == nil {
			t.Errorf("%s: saved", name)
		}
	}
	checkNothingLeft(t, d)
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	defer unix.Umask(unix.Umask(0))
	d := Dir{Root: filepath.Join(t.TempDir(), "root")}
	if err := errors.Join(d.Save(held(key), full()), d.SaveAttachment(eth0)); err != nil {
		t.Fatal(err)
	}
	for path, mode := range modes(t, d) {
		if mode != fs.ModeDir|0o700 && mode != 0o600 {
			t.Errorf("%s: mode %v", path, mode)
		}
	}
	if info, err := os.Stat(d.Root); err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("root: %v, %v; want mode 0700", info.Mode(), err)
	}
}

// later is what saveLater saves.
func later() *Record {
	r := full()
	r.State, r.Pending = r.Pending, nil
	return r
}

func saveLater() error { return Dir{Root: os.Getenv("ROOT")}.Save(held(key), later()) }

func removeRecord() error { return Dir{Root: os.Getenv("ROOT")}.Remove(held(key), key) }

func TestSaveKilledAnywhere(t *testing.T) {
	for name, before := range map[string]*Record{"first": nil, "next": full()} {
		t.Run(name, func(t *testing.T) {
			d := Dir{Root: t.TempDir()}
			prepare := func(t *testing.T) {
				if before == nil {
					return
				}
				if err := d.Save(held(key), before); err != nil {
					t.Fatal(err)
				}
			}
			crashtest.AtSome(t, 3, "save", []string{"ROOT=" + d.Root}, prepare, func(t *testing.T) {
				got, err := d.Load(key)
				if err != nil && (before != nil || !errors.Is(err, fs.ErrNotExist)) {
					t.Fatal(err)
				}
				if !cmp.Equal(got, before) && !cmp.Equal(got, later()) {
					t.Errorf("neither the old record nor the new one:\n%s", cmp.Diff(before, got))
				}
				if err := d.Remove(held(key), key); err != nil {
					t.Error(err)
				}
				checkNothingLeft(t, d)
			})
		})
	}
}

func TestRemoveKilledAnywhere(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	prepare := func(t *testing.T) {
		if err := d.Save(held(key), full()); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(d.tmp(), "."+key.String()+suffix+"123"), []byte("half"))
	}
	crashtest.AtSome(t, 3, "remove", []string{"ROOT=" + d.Root}, prepare, func(t *testing.T) {
		if err := d.Remove(held(key), key); err != nil {
			t.Error(err)
		}
		checkNothingLeft(t, d)
	})
}

func TestSweepSparesLivingWriters(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	const (
		own   = ".4097-3.json123"
		other = ".4097-33.json5"
		dead  = ".4097-4.json77"
	)
	for _, name := range []string{own, other, dead} {
		put(t, filepath.Join(d.tmp(), name), []byte("half"))
	}
	old := time.Now().Add(-2 * abandoned)
	if err := os.Chtimes(filepath.Join(d.tmp(), dead), old, old); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(held(key), key); err != nil {
		t.Fatal(err)
	}
	left, err := files.Names(d.tmp())
	if err != nil || !cmp.Equal(left, []string{other}) {
		t.Errorf("left in tmp: %q, %v; want %q", left, err, other)
	}
}

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
