// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/node"
)

func TestValidAttachments(t *testing.T) {
	tests := []struct {
		stdin string
		want  []node.Ref
		known bool
	}{
		{`{}`, nil, false},
		{`{"cni.dev/valid-attachments": null}`, nil, false},
		{`{"cni.dev/valid-attachments": []}`, nil, true},
		{
			`{"cni.dev/valid-attachments": [{"containerID": "a", "ifname": "eth0"}, {"containerID": "b", "ifname": "net1"}]}`,
			[]node.Ref{{ContainerID: "a", Ifname: "eth0"}, {ContainerID: "b", Ifname: "net1"}},
			true,
		},
		// What ADD would refuse does not keep GC from its work.
		{`{"programs": 5, "side": "left", "cni.dev/valid-attachments": []}`, nil, true},
	}
	for _, tt := range tests {
		got, known, err := validAttachments([]byte(tt.stdin))
		if err != nil {
			t.Errorf("%s: %v", tt.stdin, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || known != tt.known {
			t.Errorf("%s: known %t, want %t; attachments (-want +got):\n%s", tt.stdin, known, tt.known, diff)
		}
	}
	for _, stdin := range []string{
		`{"cni.dev/valid-attachments": "all"}`,
		`{"cni.dev/valid-attachments": {}}`,
		`{"cni.dev/valid-attachments": [{"containerID": 7, "ifname": "eth0"}]}`,
	} {
		_, _, err := validAttachments([]byte(stdin))
		wantError(t, err, types.ErrInvalidNetworkConfig, "cni.dev/valid-attachments: ")
	}
}

func TestNetworkName(t *testing.T) {
	for _, stdin := range []string{
		`{"name": "podnet"}`,
		`{"programs": "broken", "name": "podnet", "side": [], "unknown": {}}`,
		string(readFile(t, examplesDir+"full.json")),
	} {
		if got := networkName([]byte(stdin)); got != "podnet" {
			t.Errorf("%s: name %q", stdin, got)
		}
	}
}
