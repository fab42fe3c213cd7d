// SPDX-License-Identifier: Apache-2.0

// Package layout has the tests that keep the tree in order: imports run one way, from the
// commands down to the words of a chain, and no folder grows beyond what one can overlook.
package layout

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/xdp-chain/xdp-chain/"
	root   = "../.."
	// mostLines is how much Go a folder may have, without tests and what is generated.
	mostLines = 3000
)

// Groups of folders in the table. What ends with /... is a folder and all below it.
const (
	// words are what a chain is said in.
	words = "pkg/chain internal/enum"
	// helpers know nothing of chains, or nothing but words.
	helpers = "internal/bpfspec internal/enum internal/errs internal/files internal/flock internal/jsonint internal/mountinfo internal/strict"
	// stores keep on disk what is configured and what was made.
	stores = "internal/catalog internal/config internal/record internal/store"
	// mechanisms are what a chain is made with.
	mechanisms = "bpf bpf/flow-stats pkg/..."
	below      = words + " " + helpers + " " + stores + " " + mechanisms
	// rooms are the lowest parts of internal/node.
	rooms = "internal/node/state internal/node/resolve"
)

// mayImport is which folders of ours the packages in a folder may import, the upper floors
// first. Tests may import anything.
var mayImport = []struct{ from, to string }{
	{"plugins/...", "internal/node/... internal/version " + below},
	{"cmd/...", "cmd/... internal/node/... internal/version " + below},

	{"internal/node", "internal/node/... " + below},
	// Only what looks for faults may make changes, to mend them.
	{"internal/node/doctor", "internal/node/change " + rooms + " " + below},
	{"internal/node/inspect", rooms + " " + below},
	{"internal/node/change", "internal/node/membermaps " + rooms + " " + below},
	{"internal/node/membermaps", rooms + " " + below},
	{"internal/node/state", below},
	// Programs are settled from what was read, without asking the kernel anything.
	{"internal/node/resolve", "pkg/object " + words + " " + stores},

	{"internal/catalog", "bpf internal/config pkg/object " + words + " " + helpers},
	{"internal/record", "internal/config " + words + " " + helpers},
	{"internal/store", "internal/config pkg/object pkg/pin " + words + " " + helpers},
	{"internal/config", words + " " + helpers},

	{"pkg/dispatcher/...", "bpf internal/bpfspec pkg/dispatcher/... pkg/object " + words},
	{"pkg/netdev", words + " " + helpers},
	{"pkg/object", words + " " + helpers},
	{"pkg/pin", words + " " + helpers},
	{"pkg/chain", "internal/enum"},

	{"bpf/flow-stats", "bpf " + words},
	{"bpf", ""},

	{"internal/bpfspec", words},
	{"internal/strict", "internal/errs internal/files internal/jsonint"},
	{"internal/errs", ""},
	{"internal/files", "internal/errs"},
	{"internal/flock", ""},
	{"internal/jsonint", ""},
	{"internal/mountinfo", ""},
	{"internal/enum/...", ""},
	{"internal/version", ""},

	// What only tests import.
	{"bpf/internal/xdptest", "bpf internal/testenv"},
	{"pkg/dispatcher/internal/chaintest", "internal/testenv"},
	{"internal/node/nodetest", "internal/crashtest internal/node/... internal/testenv " + below},
	{"internal/plugintest", "internal/testenv"},
	{"internal/crashtest", "internal/testenv"},
	{"internal/testenv", "internal/sandbox"},
	{"internal/sandbox", ""},
	{"internal/schematest", "conf/schema"},
}

// never are imports that no line of the table may allow, whatever is added to it.
var never = []struct{ from, to, why string }{
	{"pkg/...", "internal/node/...", "others import pkg: it may not need this node's chains"},
	{"internal/strict", "pkg/chain", "it reads any document, not only of chains"},
	{"internal/node/resolve", "pkg/netdev", "it asks the kernel nothing"},
	{"internal/node/resolve", "pkg/pin", "it asks the kernel nothing"},
	{"internal/node/resolve", "internal/node/...", "it is settled before anybody looks at what runs"},
	{"internal/node/inspect", "internal/node/change", "who looks does not change"},
	{"internal/node", "internal/node/nodetest", "only tests import it"},
	{"plugins/...", "internal/node/nodetest", "only tests import it"},
	{"cmd/...", "internal/node/nodetest", "only tests import it"},
}

// ofKernel are other people's packages that talk to the kernel, which what is pure may not
// import either.
var ofKernel = []string{"github.com/cilium/ebpf/link", "github.com/vishvananda/...", "golang.org/x/sys/..."}

// pure are the folders that touch nothing but memory and, some of them, files.
var pure = []string{"pkg/chain", "internal/config", "internal/catalog", "internal/node/resolve"}

func TestImportsRunDownwards(t *testing.T) {
	for from, imports := range importsOf(t, "pkg", "internal", "cmd", "plugins", "bpf") {
		for _, imported := range imports {
			to, ours := strings.CutPrefix(imported, module)
			if !ours {
				if slices.Contains(pure, from) && matchesAny(imported, ofKernel) {
					t.Errorf("%s imports %s, and is to ask the kernel nothing: take what it needs as an argument", from, imported)
				}
				continue
			}
			for _, n := range never {
				if matches(from, n.from) && matches(to, n.to) {
					t.Errorf("%s imports %s, which it never may: %s", from, to, n.why)
				}
			}
			if !allowed(from, to) {
				t.Errorf("%s imports %s, which is not below it: move what it needs down, take it as an argument, or, "+
					"where the import does run downwards, add it to mayImport of internal/layout", from, to)
			}
		}
	}
}

// The test itself has to see what is wrong.
func TestAllowed(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		want     bool
	}{
		{"internal/node", "internal/node/change", true},
		{"internal/node/doctor", "internal/node/change", true},
		{"internal/node/inspect", "internal/node/change", false},
		{"internal/node/resolve", "internal/node/state", false},
		{"internal/node/resolve", "pkg/netdev", false},
		{"internal/node/change", "internal/node", false},
		{"internal/record", "internal/node", false},
		{"cmd/xdpctl", "internal/testenv", false},
		{"cmd/xdpctl/internal/table", "pkg/chain", true},
		{"pkg/chain", "internal/config", false},
		{"pkg/dispatcher/linked", "pkg/dispatcher/internal/load", true},
		{"pkg/dispatcher/linked", "internal/testenv", false},
		{"internal/unheard", "pkg/chain", false},
	} {
		if got := allowed(tt.from, tt.to); got != tt.want {
			t.Errorf("%s may import %s: %t, want %t", tt.from, tt.to, got, tt.want)
		}
	}
}

// allowed tells whether a line of the table lets one folder import another.
func allowed(from, to string) bool {
	return slices.ContainsFunc(mayImport, func(line struct{ from, to string }) bool {
		return matches(from, line.from) && matchesAny(to, strings.Fields(line.to))
	})
}

// matches tells whether a folder is the one of a pattern, or below it.
func matches(dir, pattern string) bool {
	parent, tree := strings.CutSuffix(pattern, "/...")
	return dir == parent || tree && strings.HasPrefix(dir, parent+"/")
}

func matchesAny(dir string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(dir, p) })
}

// importsOf returns what the packages below some folders import, each once, without their
// tests.
func importsOf(t *testing.T, below ...string) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for _, dir := range below {
		eachFile(t, dir, func(file string, content []byte) {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, content, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			from := path.Dir(file)
			for _, i := range parsed.Imports {
				imported, err := strconv.Unquote(i.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(all[from], imported) {
					all[from] = append(all[from], imported)
				}
			}
		})
	}
	return all
}

func TestNoFolderIsTooLarge(t *testing.T) {
	lines := make(map[string]int)
	eachFile(t, ".", func(file string, content []byte) {
		if !strings.HasSuffix(file, "_gen.go") {
			lines[path.Dir(file)] += bytes.Count(content, []byte("\n"))
		}
	})
	for dir, n := range lines {
		if n > mostLines {
			t.Errorf("%s has %d lines of Go without tests, more than %d: make a package of a part of it that has a name of its own",
				dir, n, mostLines)
		}
	}
	if len(lines) < 20 {
		t.Errorf("there are %d folders with Go, which cannot be all", len(lines))
	}
}

// eachFile calls f for each file of Go below a folder of the checkout, without tests, by its
// path in the checkout. What the go command passes over is passed over.
func eachFile(t *testing.T, below string, f func(file string, content []byte)) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, below), func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		switch {
		case d.IsDir() && (name == "testdata" || strings.HasPrefix(name, ".") && name != ".."):
			return fs.SkipDir
		case !d.Type().IsRegular() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		f(strings.TrimPrefix(filepath.ToSlash(file), root+"/"), content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
