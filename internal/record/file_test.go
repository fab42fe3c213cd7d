// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/internal/files"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// valid is the file of a small record of key.
const valid = `{"version":1,"key":"4097-3","interface":"eth0","netns":"/run/netns/a","side":"pod","created":"2026-11-21T00:00:00Z",` +
	`"state":{"generation":1,"programID":5,"requested":{"mode":"auto","attach":"auto","dispatcher":"auto"},"mode":"native","attach":"link","dispatcher":"linked","counters":true,"members":[]}}`

func TestBrokenRecordIsSetAside(t *testing.T) {
	for _, tt := range []struct{ name, old, new string }{
		{"empty", valid, ""},
		{"cut short", valid[100:], ""},
		{"something after it", valid, valid + "{}"},
		{"null", valid, "null"},
		{"list", valid, "[]"},
		{"no version", `"version":1,`, ""},
		{"version 0", `"version":1`, `"version":0`},
		{"version that is no number", `"version":1`, `"version":"1"`},
		{"unknown field", `"side":"pod"`, `"side":"pod","color":"red"`},
		{"unknown field inside", `"counters":true`, `"counters":true,"color":"red"`},
		{"field twice", `"side":"pod"`, `"side":"pod","side":"pod"`},
		{"field in another case", `"side":"pod"`, `"Side":"pod"`},
		{"another chain's", `"4097-3"`, `"4098-3"`},
		{"no key", `"key":"4097-3",`, ``},
		{"key that is null", `"4097-3"`, `null`},
		{"no such side", `"pod"`, `"left"`},
		{"no such mode", `"native"`, `"fast"`},
		{"negative generation", `"generation":1`, `"generation":-1`},
		{"id that overflows", `"programID":5`, `"programID":4294967296`},
		{"member without a name", `"members":[]`, `"members":[{}]`},
		{"member that is null", `"members":[]`, `"members":[null]`},
		{"owner of no kind", `"members":[]`, `"members":[{"name":"a","owner":{"kind":"pod"}}]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Dir{Root: t.TempDir()}
			content := strings.Replace(valid, tt.old, tt.new, 1)
			if content == valid {
				t.Fatal("nothing replaced")
			}
			put(t, d.chain(key), []byte(content))
			_, err := d.Load(key)
			var broken *BrokenError
			if !errors.As(err, &broken) || !errors.Is(err, ErrBroken) {
				t.Fatalf("got %v; want a BrokenError", err)
			}
			if broken.Path != d.chain(key) || !strings.Contains(err.Error(), broken.Path) || !strings.Contains(err.Error(), broken.SetAside) {
				t.Errorf("%v; want both paths in it", err)
			}
			if kept, err := os.ReadFile(broken.SetAside); string(kept) != content {
				t.Errorf("set aside %q, %v; want %q", kept, err, content)
			}
			if _, err := d.Load(key); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Load after that: %v; want fs.ErrNotExist", err)
			}
		})
	}
}

func TestValidRecordIsNotSetAside(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	put(t, d.chain(key), []byte(valid))
	if _, err := d.Load(key); err != nil {
		t.Error(err)
	}
}

func TestRecordOfALaterVersionStays(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	put(t, d.chain(key), []byte(`{"version":2,"chain":["all","different"]}`))
	for range 2 {
		if _, err := d.Load(key); !errors.Is(err, ErrVersion) || errors.Is(err, ErrBroken) {
			t.Errorf("got %v; want ErrVersion alone", err)
		}
	}
}

func TestBrokenFilesAreBounded(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	const broken = MaxBroken + 6
	for i := range broken {
		k := chain.Key{Cookie: uint64(i), Ifindex: 1}
		put(t, d.chain(k), []byte(strconv.Itoa(i)))
		if _, err := d.Load(k); !errors.Is(err, ErrBroken) {
			t.Fatal(err)
		}
	}
	names, err := files.Names(d.broken())
	if err != nil || len(names) != MaxBroken {
		t.Fatalf("%d files, %v; want %d", len(names), err, MaxBroken)
	}
	oldest, err := os.ReadFile(filepath.Join(d.broken(), names[0]))
	if want := strconv.Itoa(broken - MaxBroken); string(oldest) != want {
		t.Errorf("the oldest kept is %s, %v; want %s", oldest, err, want)
	}
}

func TestBrokenRecordThatCannotBeSetAside(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	put(t, d.chain(key), []byte("{"))
	put(t, d.broken(), nil) // a file where the folder should be
	_, err := d.Load(key)
	var broken *BrokenError
	if !errors.As(err, &broken) || broken.SetAside != "" {
		t.Errorf("got %v; want a BrokenError without a second path", err)
	}
	if _, err := os.Stat(d.chain(key)); err != nil {
		t.Error(err)
	}
}

// TestRepairedWhileRead has readers come upon a broken record while its chain's
// holder replaces it: whoever sets it aside must not set aside the new one.
func TestRepairedWhileRead(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	for range 200 {
		put(t, d.chain(key), []byte("{"))
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				_, err := d.Load(key)
				if err != nil && !errors.Is(err, ErrBroken) && !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
			})
		}
		if err := d.Save(held(key), full()); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		if _, err := d.Load(key); err != nil {
			t.Fatal("the new record is gone:", err)
		}
	}
}

// TestPutBackOther is the same, with the order of things that is rarest forced.
func TestPutBackOther(t *testing.T) {
	for name, writtenSince := range map[string]bool{"once replaced": false, "twice replaced": true} {
		t.Run(name, func(t *testing.T) {
			d := Dir{Root: t.TempDir()}
			put(t, d.chain(key), []byte("{"))
			f, err := os.Open(d.chain(key))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			aside := filepath.Join(d.Root, "aside")
			want := later()
			if err := errors.Join(d.Save(held(key), want), os.Rename(d.chain(key), aside)); err != nil {
				t.Fatal(err)
			}
			if writtenSince {
				want = full()
				if err := d.Save(held(key), want); err != nil {
					t.Fatal(err)
				}
			}
			if other, err := putBackOther(d.chain(key), aside, f); !other || err != nil {
				t.Fatalf("got %t, %v; want true", other, err)
			}
			got, err := d.Load(key)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("record (-want +got), %v:\n%s", err, diff)
			}
			if _, err := os.Stat(aside); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("still aside: %v", err)
			}
		})
	}
}

func loadBroken() error {
	if _, err := (Dir{Root: os.Getenv("ROOT")}).Load(key); !errors.Is(err, ErrBroken) {
		return err
	}
	return nil
}

func TestSettingAsideKilledAnywhere(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	prepare := func(t *testing.T) {
		if err := os.RemoveAll(d.broken()); err != nil {
			t.Fatal(err)
		}
		put(t, d.chain(key), []byte("{"))
	}
	crashtest.AtSome(t, 3, "load", []string{"ROOT=" + d.Root}, prepare, func(t *testing.T) {
		if _, err := d.Load(key); !errors.Is(err, ErrBroken) && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if names, err := files.Names(d.broken()); len(names) != 1 {
			t.Errorf("set aside %q, %v; want one file", names, err)
		}
	})
}

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
