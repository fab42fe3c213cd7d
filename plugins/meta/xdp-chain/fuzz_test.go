// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// FuzzConf hands configurations to what ADD, DEL and GC read them with. Whatever
// comes, an error has a code of CNI's and a message, and what is accepted holds
// what pkg/node relies on.
func FuzzConf(f *testing.F) {
	examples, err := filepath.Glob("testdata/*.json")
	if err != nil || len(examples) == 0 {
		f.Fatalf("no examples: %v", err)
	}
	for _, path := range examples {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, stdin []byte) {
		_, _, _ = validAttachments(stdin)
		_ = networkName(stdin)
		w, err := parseWish(&skel.CmdArgs{ContainerID: "c1", Netns: "/run/netns/pod", IfName: "eth0", StdinData: stdin})
		if err != nil {
			var e *types.Error
			if !errors.As(err, &e) || e.Msg == "" || e.Code != types.ErrDecodingFailure && e.Code != types.ErrInvalidNetworkConfig {
				t.Fatalf("error %#v", err)
			}
			return
		}
		if len(w.prev.answer) == 0 {
			t.Error("accepted without an answer")
		}
		type place struct {
			side chain.Side
			name string
		}
		names := make(map[place]bool)
		for _, p := range w.attachment.Programs {
			if err := p.Check(); err != nil {
				t.Errorf("accepted: %v", err)
			}
			at := place{w.attachment.Side, p.Name}
			if p.Side != nil {
				at.side = *p.Side
			}
			if names[at] {
				t.Errorf("accepted two programs named %q on side %s", at.name, at.side)
			}
			names[at] = true
		}
	})
}
