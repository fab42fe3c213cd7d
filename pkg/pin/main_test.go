// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

func TestMain(m *testing.M) {
	crashtest.Child(map[string]func() error{
		"ensure":      ensureAtRoot,
		"ensure-not":  ensureRefused,
		"hold":        holdLock,
		"hold-libxdp": holdLikeLibxdp,
		"contend":     contend,
		"share":       share,
		"stage":       stageSecond,
		"finalize":    finalizeSecond,
		"remove":      removeChain,
		"dispatch":    pinDispatch,
		"undispatch":  unpinDispatch,
		"empty":       lockAndUnlock,
		"libxdp":      contendForLibxdp,
	})
	testenv.Main(m)
}

var (
	tree = pin.Tree{Root: pin.DefaultRoot}
	key  = chain.Key{Cookie: 4097, Ifindex: 3}
)

// ensure makes the tree, and sees that the test leaves no chain and no map in it.
func ensure(t *testing.T) {
	t.Helper()
	testenv.NoLeaks(t)
	if err := tree.Ensure(); err != nil {
		t.Fatal(err)
	}
}

func lock(t *testing.T, key chain.Key) *pin.Locked {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	l, err := tree.Lock(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// lockForTest locks a chain, and takes it down when the test ends.
func lockForTest(t *testing.T, key chain.Key) *pin.Locked {
	t.Helper()
	l := lock(t, key)
	t.Cleanup(func() { removeIfThere(t, key, l) })
	return l
}

// removeIfThere takes a chain down, by l if that is there and still held.
func removeIfThere(t *testing.T, key chain.Key, l *pin.Locked) {
	t.Helper()
	if l == nil || !l.Holds(key) {
		l = lock(t, key)
	}
	if err := remove(l); err != nil {
		t.Error(err)
	}
}

// remove takes a chain down as far as it is pinned.
func remove(l *pin.Locked) error {
	if err := l.Clear(); err != nil {
		return err
	}
	return l.Unlock()
}

func newMap(t *testing.T, name string) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: name, Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func mapID(t *testing.T, m *ebpf.Map) ebpf.MapID {
	t.Helper()
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, ok := info.ID()
	if !ok {
		t.Fatal("the kernel does not tell map ids")
	}
	return id
}

// listTree returns the paths below root, each with its mode.
func listTree(t *testing.T, root string) map[string]fs.FileMode {
	t.Helper()
	found := make(map[string]fs.FileMode)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err == nil {
			found[path[len(root)+1:]] = info.Mode()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// openByID opens the map whose id an environment variable gives, nil for none.
func openByID(env string) (*ebpf.Map, error) {
	if os.Getenv(env) == "" {
		return nil, nil
	}
	id, err := idFromEnv(env)
	if err != nil {
		return nil, err
	}
	return ebpf.NewMapFromID(ebpf.MapID(id))
}

// linkByID opens the link whose id an environment variable gives.
func linkByID(env string) (link.Link, error) {
	id, err := idFromEnv(env)
	if err != nil {
		return nil, err
	}
	return link.NewFromID(link.ID(id))
}

func idFromEnv(env string) (uint32, error) {
	id, err := strconv.ParseUint(os.Getenv(env), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", env, err)
	}
	return uint32(id), nil
}

func childContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 30*time.Second)
}

func keysOf[K comparable, V any](m map[K]V) map[K]bool {
	set := make(map[K]bool, len(m))
	for k := range maps.Keys(m) {
		set[k] = true
	}
	return set
}
