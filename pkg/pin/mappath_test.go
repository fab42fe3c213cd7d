// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"errors"
	"testing"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

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
