// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
)

// Path is where a file of the checkout lies, such as "bpf/drop/drop.o". The test's package has
// to be node or below it.
func Path(t *testing.T, file string) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	checkout, _, below := strings.Cut(folder, "/internal/node")
	if !below {
		t.Fatalf("%s is not below internal/node", folder)
	}
	return filepath.Join(checkout, file)
}

// Testdata is where a file of this package's testdata lies.
func Testdata(t *testing.T, file string) string {
	t.Helper()
	return Path(t, "internal/node/nodetest/testdata/"+file)
}

// Objects is where a test object of package object lies.
func Objects(t *testing.T, file string) string {
	t.Helper()
	return Path(t, "pkg/object/testdata/"+file)
}

// Copy copies a file of the checkout.
func Copy(t *testing.T, file, to string) {
	t.Helper()
	content, err := os.ReadFile(Path(t, file))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Catalog makes a catalog of entries, each a file's text, and returns its folder too. The
// files are 0.yaml, 1.yaml and so on.
func Catalog(t *testing.T, entries ...string) (*catalog.Catalog, string) {
	t.Helper()
	dir := t.TempDir()
	for i, entry := range entries {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), []byte(entry), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := catalog.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

// Entry is the text of a catalog's entry over one of package object's test objects, with more
// lines of YAML.
func Entry(t *testing.T, name, file, more string) string {
	t.Helper()
	return fmt.Sprintf("name: %s\nobject: %s\n%s", name, Objects(t, file), more)
}

// Asked is a program of a pod's annotation, where the whole range of priorities up to
// 199 is the network's band.
func Asked(p config.Program) config.Program {
	p.Band = &config.Band{Min: 0, Max: 199}
	return p
}

// ForeignProgram is an XDP program that passes everything and is no chain.
func ForeignProgram(t *testing.T) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "foreign", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// WantWords wants a text, such as that of an error, to have each of the words in it.
func WantWords(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("got %q, want it to say %q", text, w)
		}
	}
}

// Files are the names in a folder.
func Files(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func open(t *testing.T, path string) *ebpf.Map {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// MapID is the kernel's id of a map.
func MapID(t *testing.T, m *ebpf.Map) ebpf.MapID {
	t.Helper()
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return id
}

// PinnedID is the kernel's id of a pinned map.
func PinnedID(t *testing.T, path string) ebpf.MapID {
	t.Helper()
	m := open(t, path)
	defer m.Close()
	return MapID(t, m)
}

// PinnedEntry reads an entry of a pinned array of u64.
func PinnedEntry(t *testing.T, path string, index uint32) (value uint64) {
	t.Helper()
	m := open(t, path)
	defer m.Close()
	if err := m.Lookup(index, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// SumPinned adds up the first u64 of every value of a per-CPU hash map: in the
// map traffic of the built-in count, packets.
func SumPinned(t *testing.T, path string) (packets uint64) {
	t.Helper()
	m := open(t, path)
	defer m.Close()
	return sumOf(m)
}

func sumOf(m *ebpf.Map) (packets uint64) {
	var key []byte
	var values []struct{ Packets, Bytes uint64 }
	for entries := m.Iterate(); entries.Next(&key, &values); {
		for _, v := range values {
			packets += v.Packets
		}
	}
	return packets
}

// CountedBy reads the packets that a loaded built-in count has seen.
func CountedBy(t *testing.T, program uint32) uint64 {
	t.Helper()
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(program))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if info, err := m.Info(); err == nil && info.Name == "traffic" {
			return sumOf(m)
		}
	}
	t.Fatalf("program %d has no map of packets", program)
	return 0
}
