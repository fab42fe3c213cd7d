// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// conflist returns our entry in a list that we ship.
func conflist(t *testing.T, path string) *config.Conf {
	t.Helper()
	var list struct{ Plugins []json.RawMessage }
	if err := json.Unmarshal(readFile(t, path), &list); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for _, entry := range list.Plugins {
		var plugin types.PluginConf
		if err := json.Unmarshal(entry, &plugin); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if plugin.Type != "xdp-chain" {
			continue
		}
		c, err := config.Parse(entry)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return c
	}
	t.Fatalf("%s: no entry of type xdp-chain", path)
	return nil
}

// The examples that we ship are right.
func TestExamples(t *testing.T) {
	paths, err := filepath.Glob("../../../conf/*.conflist")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, path := range paths {
		c := conflist(t, path)
		if c.Annotations != nil && !c.HasAnnotationsCapability() {
			t.Errorf("%s: annotations without the capability", path)
		}
	}
}

// exampleCatalog returns a copy of the catalog that we ship, whose objects are those that
// we ship: a checkout need not be root's alone.
func exampleCatalog(t *testing.T) string {
	t.Helper()
	paths, err := filepath.Glob("../../../conf/programs.d/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	dir := t.TempDir()
	for _, path := range paths {
		text := strings.ReplaceAll(string(readFile(t, path)), "/opt/xdp/", dir+"/")
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	content := readFile(t, "../../../conf/examples/udp-limit/udp_limit.o")
	if err := os.WriteFile(filepath.Join(dir, "udp_limit.o"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// What docs/configuration.md says of the example with annotations is so.
func TestExampleAnnotations(t *testing.T) {
	if os.Geteuid() != 0 {
		testenv.Skip(t, "needs root, to whom catalog files must belong")
	}
	c := conflist(t, "../../../conf/30-annotations.conflist")
	c.CatalogDir = exampleCatalog(t)
	entries, err := catalog.Open(c.CatalogDir)
	if err != nil {
		t.Fatal(err)
	}
	if err := entries.Check(); err != nil {
		t.Error(err)
	}
	for annotation, want := range map[string][]string{
		"":                                   {"acl"},
		"ratelimit, flow-stats":              {"acl", "ratelimit", "flow-stats"},
		"ratelimit, flow-stats, udp-limit":   {"acl", "ratelimit", "flow-stats", "udp-limit"},
		"[{name: udp-limit, priority: 105}]": {"acl", "udp-limit"},
		documentedAnnotation(t):              {"acl", "ratelimit", "udp-limit"},
	} {
		a, err := resolve.AttachmentFor(c, map[string]string{catalog.Annotation: annotation})
		if err != nil {
			t.Errorf("%q: %v", annotation, err)
			continue
		}
		chains, err := node.Preview(a)
		if err != nil || len(chains) != 1 {
			t.Errorf("%q: %d chains, %v", annotation, len(chains), err)
			continue
		}
		var got []string
		for _, m := range chains[0].Members {
			got = append(got, m.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: members (-want +got):\n%s", annotation, diff)
		}
	}
}

// documentedAnnotation cuts the annotation out of the pod in docs/configuration.md.
func documentedAnnotation(t *testing.T) string {
	t.Helper()
	const key = "    " + catalog.Annotation + ": |\n"
	_, rest, found := strings.Cut(string(readFile(t, "../../../docs/configuration.md")), key)
	if !found {
		t.Fatalf("docs/configuration.md has no pod with %q", key)
	}
	var text strings.Builder
	for line := range strings.Lines(rest) {
		value, inside := strings.CutPrefix(line, "      ")
		if !inside {
			break
		}
		text.WriteString(value)
	}
	return text.String()
}
