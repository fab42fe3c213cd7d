// SPDX-License-Identifier: Apache-2.0

package resolve_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// parse reads a configuration that is right.
func parse(t *testing.T, document string) *config.Conf {
	t.Helper()
	c, err := config.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAttachmentFor(t *testing.T) {
	const policy = `"annotations": {"allow": ["count", "drop"]}`
	band := &config.Band{Min: 100, Max: 199}
	tests := []struct {
		name, conf, annotation string
		want                   []config.Program
		err                    error
	}{
		{"nothing at all", `{}`, "", nil, nil},
		{"no annotation", `{"programs": [{"name": "acl"}], ` + policy + `}`, "", []config.Program{{Name: "acl"}}, nil},
		{"no policy", `{"programs": [{"name": "acl"}]}`, "count, absurd", []config.Program{{Name: "acl"}}, nil},
		{"policy null", `{"annotations": null}`, "count, absurd", nil, nil},
		{"both", `{"programs": [{"name": "acl"}], ` + policy + `}`, "[{name: drop, priority: 150}]", []config.Program{
			{Name: "acl"}, {Name: "drop", Priority: new(150), Band: band},
		}, nil},
		{"refused", `{"programs": [{"name": "acl"}], ` + policy + `}`, "pass", nil, config.ErrPolicy},
		{"of the same name on the other side", `{"programs": [{"name": "drop", "side": "host"}], ` + policy + `}`, "drop", nil, config.ErrPolicy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := parse(t, tt.conf)
			c.CatalogDir = t.TempDir()
			a, err := resolve.AttachmentFor(c, map[string]string{catalog.Annotation: tt.annotation, "example.com/other": "count"})
			if !errors.Is(err, tt.err) {
				t.Fatalf("error is %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, a.Programs); diff != "" {
				t.Errorf("programs (-want +got):\n%s", diff)
			}
		})
	}
}

// A configuration is nobody's to change: one may be asked about several pods.
func TestAttachmentForLeavesTheConfiguration(t *testing.T) {
	c := parse(t, `{"programs": [{"name": "acl"}, {"name": "pass"}], "annotations": {"allow": ["drop"], "priorities": {"min": 0}}}`)
	c.Programs = c.Programs[:1]
	if _, err := resolve.AttachmentFor(c, map[string]string{catalog.Annotation: "[{name: drop, priority: 1}]"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]config.Program{{Name: "acl"}, {Name: "pass"}}, c.Programs[:2]); diff != "" {
		t.Errorf("programs (-before +after):\n%s", diff)
	}
}

// A catalog that cannot be opened is in the way of those alone who need it.
func TestAttachmentForOpensTheCatalogOnDemand(t *testing.T) {
	if os.Geteuid() != 0 {
		testenv.Skip(t, "needs root, to whom the files must belong")
	}
	dir := filepath.Join(t.TempDir(), "programs.d")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	const policy = `"annotations": {"allow": ["count"]}`
	for _, tt := range []struct {
		conf, annotation string
		needed           bool
	}{
		{`{}`, "", false},
		{`{}`, "count", false},
		{`{` + policy + `}`, "", false},
		{`{"programs": [{"name": "mine", "object": "/mine.o"}], ` + policy + `}`, "", false},
		{`{"programs": [{"name": "mine", "object": "/mine.o"}], ` + policy + `}`, "count", true},
		{`{"programs": [{"name": "mine", "object": "/mine.o"}, {"name": "acl"}]}`, "", true},
	} {
		c := parse(t, tt.conf)
		c.CatalogDir = dir
		_, err := resolve.AttachmentFor(c, map[string]string{catalog.Annotation: tt.annotation})
		if errors.Is(err, catalog.ErrBroken) != tt.needed || err != nil != tt.needed {
			t.Errorf("%s with %q: error is %v; catalog needed: %t", tt.conf, tt.annotation, err, tt.needed)
		}
	}
}

func TestAttachmentOf(t *testing.T) {
	content, err := os.ReadFile("../../config/testdata/full.json")
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, string(content))
	c.Mode, c.Attach, c.Dispatcher, c.LibxdpVersion, c.Side = chain.ModeGeneric, chain.AttachNetlink, chain.DispatcherLibxdp, chain.LibxdpV3, config.HostSide
	want := resolve.Attachment{
		Owner: record.Owner{Network: "podnet"}, Side: config.HostSide, Counters: true, Programs: c.Programs,
		Requested: config.Requested{
			Mode: chain.ModeGeneric, Attach: chain.AttachNetlink, Dispatcher: chain.DispatcherLibxdp,
			LibxdpVersion: chain.LibxdpV3, PeerNapi: config.PeerNapiOff,
		},
	}
	if diff := cmp.Diff(want, resolve.AttachmentOf(c), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("attachment (-want +got):\n%s", diff)
	}
}
