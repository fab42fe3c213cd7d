// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestOwnerKindText(t *testing.T) {
	for kind, name := range map[OwnerKind]string{OwnerAttachment: "attachment", OwnerCLI: "cli"} {
		text, err := kind.MarshalText()
		if err != nil || string(text) != name || kind.String() != name {
			t.Errorf("%d prints as %q, %q, %v; want %q", kind, text, kind.String(), err, name)
		}
		var back OwnerKind
		if err := back.UnmarshalText(text); err != nil || back != kind {
			t.Errorf("%q reads as %d, %v; want %d", text, back, err, kind)
		}
	}
	if _, err := OwnerKind(2).MarshalText(); !errors.Is(err, chain.ErrInvalid) {
		t.Errorf("owner kind 2: %v; want chain.ErrInvalid", err)
	}
	if err := new(OwnerKind).UnmarshalText([]byte("CLI")); !errors.Is(err, chain.ErrInvalid) {
		t.Errorf("CLI: %v; want chain.ErrInvalid", err)
	}
}

func TestOwners(t *testing.T) {
	a, b, cli := Owner{Network: "n", ContainerID: "a"}, Owner{Network: "n", ContainerID: "b"}, Owner{Kind: OwnerCLI}
	s := State{Members: []Member{{Owner: b}, {Owner: cli}, {Owner: a}, {Owner: b}, {Owner: cli}}}
	if diff := cmp.Diff([]Owner{b, cli, a}, s.Owners()); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
}

func TestIsAttachment(t *testing.T) {
	o := Owner{Network: "n", ContainerID: "c", Ifname: "eth0", PodName: "p"}
	for _, tt := range []struct {
		owner                        Owner
		network, containerID, ifname string
		want                         bool
	}{
		{o, "n", "c", "eth0", true},
		{o, "m", "c", "eth0", false},
		{o, "n", "d", "eth0", false},
		{o, "n", "c", "net1", false},
		{Owner{Kind: OwnerCLI}, "", "", "", false},
	} {
		if got := tt.owner.IsAttachment(tt.network, tt.containerID, tt.ifname); got != tt.want {
			t.Errorf("%+v is %s %s %s: %t; want %t", tt.owner, tt.network, tt.containerID, tt.ifname, got, tt.want)
		}
	}
}
