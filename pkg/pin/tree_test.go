// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

func TestKeysAreTheChainsAlone(t *testing.T) {
	ensure(t)
	other := chain.Key{Cookie: 1 << 40, Ifindex: 7}
	lockForTest(t, key)
	lockForTest(t, other)
	foreign := filepath.Join(tree.Root, "xdp-chain/chains/foreign")
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(foreign)
	keys, err := tree.Keys()
	if err != nil {
		t.Fatal(err)
	}
	want := map[chain.Key]bool{key: true, other: true}
	got := make(map[chain.Key]bool)
	for _, k := range keys {
		got[k] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestNoTreeIsNoChains(t *testing.T) {
	nowhere := pin.Tree{Root: t.TempDir()}
	if keys, err := nowhere.Keys(); len(keys) != 0 || err != nil {
		t.Errorf("keys: %v, %v; want none", keys, err)
	}
	if networks, err := nowhere.Networks(); len(networks) != 0 || err != nil {
		t.Errorf("networks: %v, %v; want none", networks, err)
	}
	if _, err := nowhere.TryLock(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("TryLock: %v; want fs.ErrNotExist", err)
	}
	if _, err := nowhere.OpenCounters(key, 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenCounters: %v; want fs.ErrNotExist", err)
	}
	if _, err := nowhere.OpenMap(key, 1, "count", "traffic"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenMap: %v; want fs.ErrNotExist", err)
	}
	if _, err := nowhere.OpenLink(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenLink: %v; want fs.ErrNotExist", err)
	}
}

func TestMapPaths(t *testing.T) {
	tree := pin.Tree{Root: "/sys/fs/bpf"}
	ofChain := func(member, name string) (string, error) {
		return tree.MapPath(chain.Key{Cookie: 4097, Ifindex: 2}, member, name)
	}
	for _, tt := range []struct {
		path           func(string, string) (string, error)
		of, name, want string
	}{
		{ofChain, "count", ".rodata.str", "/sys/fs/bpf/xdp-chain/chains/4097-2/maps/count/:rodata:str"},
		{ofChain, "count", "a/b", ""},
		{ofChain, "../x", "traffic", ""},
		{tree.NodeMapPath, "k8s.pods", "acl.rules", "/sys/fs/bpf/xdp-chain/node/k8s:pods/acl:rules"},
		{tree.NodeMapPath, "", "rules", ""},
		{tree.NodeMapPath, "podnet", "a:b", ""},
	} {
		got, err := tt.path(tt.of, tt.name)
		if got != tt.want || (tt.want == "") != errors.Is(err, chain.ErrInvalid) {
			t.Errorf("%q of %q is at %q, %v; want %q", tt.name, tt.of, got, err, tt.want)
		}
	}
}
