// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/enum/enumtest"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestPreview(t *testing.T) {
	testenv.NoLeaks(t)
	c, dir := nodetest.Catalog(t, "name: count\npriority: 150\nproceedOn: [pass]\n", nodetest.Entry(t, "mine", "plain.o", "priority: 1"))
	got, err := node.Preview(resolve.Attachment{
		Side: config.HostSide, Catalog: c,
		Programs: []config.Program{
			nodetest.At(20, "acl"),
			{Name: "mine"},
			{Name: "mine", Side: new(config.PodSide), Priority: new(3), Globals: map[string]json.RawMessage{}},
			{Name: "count", Band: &config.Band{Min: 100, Max: 199}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	plain := nodetest.Objects(t, "plain.o")
	mine := node.PlannedMember{
		Member: chain.Member{Name: "mine", Function: "plain", Priority: 3, ProceedOn: chain.DefaultProceedOn},
		Source: node.SourceConflist, Origin: plain, CatalogFile: filepath.Join(dir, "1.yaml"),
	}
	want := []node.PlannedChain{{Side: config.PodSide, Members: []node.PlannedMember{mine}}}
	mine.Priority = 1
	want = append(want, node.PlannedChain{Side: config.HostSide, Members: []node.PlannedMember{
		mine,
		{
			Member:   chain.Member{Name: "acl", Function: "acl", Priority: 20, ProceedOn: chain.DefaultProceedOn},
			Position: 1, Source: node.SourceConflist, Origin: "built-in acl",
		},
		{
			Member:   chain.Member{Name: "count", Function: "count", Priority: 150, ProceedOn: chain.ActionSetOf(chain.Pass)},
			Position: 2, Source: node.SourceAnnotation, Origin: "built-in count", CatalogFile: filepath.Join(dir, "0.yaml"),
		},
	}})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("chains (-want +got):\n%s", diff)
	}
}

func TestPreviewRefuses(t *testing.T) {
	many := func(count int) []config.Program {
		var list []config.Program
		for i := range count {
			list = append(list, config.Program{Name: "p" + string(rune('a'+i/26)) + string(rune('a'+i%26)), Object: nodetest.Objects(t, "plain.o")})
		}
		return list
	}
	tests := []struct {
		name string
		a    resolve.Attachment
		want error
	}{
		{"none", resolve.Attachment{}, nil},
		{"64 members", resolve.Attachment{Programs: many(64)}, nil},
		{"65 members", resolve.Attachment{Programs: many(65)}, chain.ErrTooManyMembers},
		{"10 members of libxdp's dispatcher", resolve.Attachment{Programs: many(10), Requested: config.Requested{Dispatcher: chain.DispatcherLibxdp}}, nil},
		{"11 members of libxdp's dispatcher", resolve.Attachment{Programs: many(11), Requested: config.Requested{Dispatcher: chain.DispatcherLibxdp}}, chain.ErrTooManyMembers},
		{"a name twice", resolve.Attachment{Programs: []config.Program{{Name: "acl"}, {Name: "acl"}}}, chain.ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := node.Preview(tt.a); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSource(t *testing.T) {
	enumtest.PrintAndParse(t, map[node.Source]string{
		0: "conflist", node.SourceAnnotation: "annotation",
	})
	enumtest.Refuse(t, chain.ErrInvalid, []string{"", "0", "Chain", "OK", (node.SourceAnnotation + 1).String()}, node.SourceAnnotation+1)
}
