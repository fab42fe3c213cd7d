// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
)

// Kept is everything that a node keeps, each path with its mode and time.
func Kept(t *testing.T, n *node.Node) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, root := range []string{n.BPFFS.Root, n.Records.Root, n.Store.Dir} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil {
				found[path] = info.Mode().String() + " " + info.ModTime().String()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// OnlyLeft waits until what is left is of these kinds: the kernel takes interfaces and
// namespaces down in its own time. Looking may change nothing.
func OnlyLeft(t *testing.T, n *node.Node, want ...doctor.LeftoverKind) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		before := Kept(t, n)
		left, err := doctor.Leftovers(n.Node)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, Kept(t, n)); diff != "" {
			t.Fatalf("looking for leftovers has changed (-before +after):\n%s", diff)
		}
		if slices.Equal(kindsOf(left), want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left are %v, want %v", left, want)
		}
	}
}

// RemoveLeft removes what is left, waits until nothing is, and compares the kinds of what was
// removed.
func RemoveLeft(t *testing.T, n *node.Node, want ...doctor.LeftoverKind) {
	t.Helper()
	OnlyLeft(t, n, want...)
	removed, err := doctor.RemoveLeftovers(t.Context(), n.Node)
	if !slices.Equal(kindsOf(removed), want) || err != nil {
		t.Errorf("removed %v, %v; want %v", removed, err, want)
	}
	OnlyLeft(t, n)
}

func kindsOf(left []doctor.Leftover) []doctor.LeftoverKind {
	kinds := make([]doctor.LeftoverKind, 0, len(left))
	for _, l := range left {
		kinds = append(kinds, l.Kind)
	}
	return kinds
}
