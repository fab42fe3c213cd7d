// SPDX-License-Identifier: Apache-2.0

package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// foreignProgram is an XDP program that passes everything and is no chain.
func foreignProgram(t *testing.T) *ebpf.Program {
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

// sumPinned adds up the first u64 of every value of a per-CPU hash map: in the
// map traffic of the built-in count, packets.
func sumPinned(t *testing.T, path string) (packets uint64) {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		t.Fatal(err)
	}
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

// countedBy reads the packets that a loaded built-in count has seen.
func countedBy(t *testing.T, program uint32) uint64 {
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
