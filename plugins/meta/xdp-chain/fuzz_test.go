// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
)

// FuzzStdin hands over what ADD, DEL and GC read from stdin. Whatever comes, an error has
// a code of CNI's and a message.
func FuzzStdin(f *testing.F) {
	examples, err := filepath.Glob(examplesDir + "*.json")
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
		r, err := parsePodRequest(&skel.CmdArgs{ContainerID: "c1", Netns: "/run/netns/pod", IfName: "eth0", StdinData: stdin})
		if err != nil {
			e := cniError(err)
			if e.Msg == "" || e.Code != types.ErrDecodingFailure && e.Code != types.ErrInvalidNetworkConfig {
				t.Fatalf("error %#v", err)
			}
			return
		}
		if len(r.answer) == 0 {
			t.Error("accepted without an answer")
		}
	})
}
