// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// Build builds a chain that is closed at the end of the test.
func Build(t testing.TB, d dispatcher.Dispatcher, opts dispatcher.Options, members ...dispatcher.Member) *dispatcher.Built {
	t.Helper()
	built, err := d.Build(context.Background(), members, opts)
	if err != nil {
		t.Fatalf("building a chain of %d: %+v", len(members), err)
	}
	t.Cleanup(func() {
		if err := built.Close(); err != nil {
			t.Error(err)
		}
	})
	return built
}

// BuildError returns the error of a chain that must not load.
func BuildError(t testing.TB, d dispatcher.Dispatcher, opts dispatcher.Options, members ...dispatcher.Member) error {
	t.Helper()
	built, err := d.Build(context.Background(), members, opts)
	if err == nil {
		built.Close()
		t.Fatal("the chain was built")
	}
	if built != nil {
		t.Errorf("an error and a chain: %v", built)
	}
	t.Log(err)
	return err
}

// Run sends one packet through a program and returns its verdict.
func Run(t testing.TB, p *ebpf.Program, packet []byte) uint32 {
	t.Helper()
	verdict, err := p.Run(&ebpf.RunOptions{Data: packet})
	if err != nil {
		t.Fatalf("running %s: %v", p, err)
	}
	return verdict
}

// Frame is an Ethernet frame of zeros.
func Frame() []byte { return make([]byte, 64) }

// Packet holds what members made by [Told] shall return.
func Packet(returns []uint32) []byte {
	data := make([]byte, max(64, 4*len(returns)))
	for i, v := range returns {
		binary.NativeEndian.PutUint32(data[4*i:], v)
	}
	return data
}

// Word reads the first 8 bytes of entry 0 of an array.
func Word(t testing.TB, m *ebpf.Map) uint64 {
	t.Helper()
	value, err := m.LookupBytes(uint32(0))
	if err != nil {
		t.Fatalf("reading %s: %v", m, err)
	}
	return binary.NativeEndian.Uint64(value)
}
