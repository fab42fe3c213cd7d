// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

func TestNodeMapsAreShared(t *testing.T) {
	ensure(t)
	const network = "k8s.pod-network"
	n, err := tree.LockNode(t.Context(), network)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Open("flows"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open before Pin: %v; want fs.ErrNotExist", err)
	}
	flows := newMap(t, "flows")
	if err := n.Pin("flows", flows); err != nil {
		t.Fatal(err)
	}
	if flows.IsPinned() {
		t.Error("the map that was given knows of the pin")
	}
	if err := n.Pin("flows", newMap(t, "flows")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Pin: %v; want fs.ErrExist", err)
	}
	if err := n.Unlock(); err != nil {
		t.Fatal(err)
	}

	if n, err = tree.LockNode(t.Context(), network); err != nil {
		t.Fatal(err)
	}
	shared, err := n.Open("flows")
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	if got, want := mapID(t, shared), mapID(t, flows); got != want {
		t.Errorf("opened map %d, want %d", got, want)
	}
	for path, mode := range listTree(t, filepath.Join(tree.Root, "xdp-chain/node")) {
		if mode != fs.ModeDir|0o700 && mode != 0o600 {
			t.Errorf("%s: mode %v", path, mode)
		}
	}
	if networks, err := tree.Networks(); !slices.Equal(networks, []string{network}) {
		t.Errorf("networks %q, %v; want %q", networks, err, network)
	}
	if err := n.Remove(); err != nil {
		t.Fatal(err)
	}
	if networks, err := tree.Networks(); len(networks) != 0 || err != nil {
		t.Errorf("networks %q, %v; want none", networks, err)
	}
}

func TestLockNodeNamesTheNetwork(t *testing.T) {
	ensure(t)
	n, err := tree.LockNode(t.Context(), "podnet")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Unlock()
	other, err := tree.LockNode(t.Context(), "othernet")
	if err != nil {
		t.Fatal("waits for another network:", err)
	}
	defer other.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = tree.LockNode(ctx, "podnet")
	var locked *pin.LockedError
	if !errors.As(err, &locked) || locked.What != `maps of network "podnet"` || !strings.Contains(err.Error(), "podnet") {
		t.Errorf("%v; want a LockedError that names the network", err)
	}
}

func TestLockNodeRefusesNames(t *testing.T) {
	for _, network := range []string{"", "../chains", "a/b", strings.Repeat("n", 300)} {
		if _, err := tree.LockNode(t.Context(), network); !errors.Is(err, chain.ErrInvalid) {
			t.Errorf("network %.20q: %v; want chain.ErrInvalid", network, err)
		}
	}
}

func TestUnpinTakesOneMapBack(t *testing.T) {
	ensure(t)
	n, err := tree.LockNode(t.Context(), "podnet")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"acl.rules", "flows"} {
		if err := n.Pin(name, newMap(t, "m")); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := n.Unpin("acl.rules"); err != nil {
			t.Error(err)
		}
	}
	if _, err := n.Open("acl.rules"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open after Unpin: %v; want fs.ErrNotExist", err)
	}
	if m, err := n.Open("flows"); err != nil {
		t.Error(err)
	} else {
		m.Close()
	}
	if err := n.Remove(); err != nil {
		t.Error(err)
	}
}

func TestNodeBusyAndLibxdpCookies(t *testing.T) {
	ensure(t)
	l, err := tree.LockNode(t.Context(), "pod.net")
	if err != nil {
		t.Fatal(err)
	}
	for network, want := range map[string]bool{"pod.net": true, "other": false, "": false} {
		if got, err := tree.NodeBusy(network); got != want || err != nil {
			t.Errorf("network %q is busy: %v, %v; want %v", network, got, err, want)
		}
	}
	if err := l.Remove(); err != nil {
		t.Fatal(err)
	}
	x, err := tree.Libxdp(4097).Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tree.LibxdpCookies(); !cmp.Equal(got, []uint64{4097}) || err != nil {
		t.Errorf("namespaces with a tree are %v, %v", got, err)
	}
	if err := x.Unlock(); err != nil {
		t.Fatal(err)
	}
}
