// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/enum/enumtest"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestOwnerKindText(t *testing.T) {
	enumtest.PrintAndParse(t, map[OwnerKind]string{OwnerAttachment: "attachment", OwnerCLI: "cli", OwnerLibxdp: "libxdp"})
	enumtest.Refuse(t, chain.ErrInvalid, []string{"CLI"}, OwnerKind(3))
}

func TestOwners(t *testing.T) {
	a, b, cli := Owner{Network: "n", ContainerID: "a"}, Owner{Network: "n", ContainerID: "b"}, Owner{Kind: OwnerCLI}
	renamed := b
	renamed.PodName = "p"
	s := State{Members: []Member{{Owner: b}, {Owner: cli}, {Owner: a}, {Owner: renamed}, {Owner: cli}}}
	if diff := cmp.Diff([]Owner{b, cli, a}, s.Owners()); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
}

func TestSameOwner(t *testing.T) {
	o := Owner{Network: "n", ContainerID: "c", Ifname: "eth0", PodName: "p"}
	for _, tt := range []struct {
		other Owner
		want  bool
	}{
		{Owner{Network: "n", ContainerID: "c", Ifname: "eth0"}, true},
		{Owner{Network: "m", ContainerID: "c", Ifname: "eth0"}, false},
		{Owner{Network: "n", ContainerID: "d", Ifname: "eth0"}, false},
		{Owner{Network: "n", ContainerID: "c", Ifname: "net1"}, false},
		{Owner{Kind: OwnerCLI, Network: "n", ContainerID: "c", Ifname: "eth0"}, false},
	} {
		if got := o.Same(tt.other); got != tt.want {
			t.Errorf("%+v same as %+v: %t; want %t", o, tt.other, got, tt.want)
		}
	}
}

// FuzzRecord decodes whatever bytes as a record: they are refused, or they are a
// record that can be encoded and comes back the same.
func FuzzRecord(f *testing.F) {
	complete, err := encodeRecord(*full())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(complete), valid, "", "null", "{}", `{"version":2}`, `{"version":1,"key":"4097-3"}`,
		`{"version":1,"key":"4097-3","base":[{"member":"a","verdict":"drop","packets":18446744073709551615}]}`,
		`{"version":1,"key":"4097-3","pending":{"members":[{"name":"a","globals":{"x":null,"y":"\u2028<"}}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := decodeRecord(content)
		if err != nil {
			return
		}
		once, err := encodeRecord(*r)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		again, err := decodeRecord(once)
		if err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
		twice, err := encodeRecord(*again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("encoded, decoded and encoded it changes, %v:\n%s\n%s", err, once, twice)
		}
	})
}
