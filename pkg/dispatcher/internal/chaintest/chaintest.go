// SPDX-License-Identifier: Apache-2.0

// Package chaintest holds what a chain means, as tests that every dispatcher has to
// pass, and the members, chains and packets that they and the dispatchers' own tests
// are made of. Only tests import it.
//
// # Mechanism
//
// [Test] is the whole of it: chains are built, loaded and run in this kernel, and what
// they do is compared with chain.Decide and with what package dispatcher promises. A
// dispatcher that does not count passes as well: counters are looked at where a Built
// has them.
//
// # Traps
//
// Members made here have BTF, as not every dispatcher takes others; [Strip] takes it
// from them.
package chaintest

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

//go:generate ../../../../bpf/compile.sh testdata/calls.c testdata/calls.o
//go:generate ../../../../bpf/compile.sh testdata/count.c testdata/count.o
//go:generate ../../../../bpf/compile.sh testdata/globals.c testdata/globals.o
//go:generate ../../../../bpf/compile.sh testdata/kernel.c testdata/kernel.o
//go:generate ../../../../bpf/compile.sh testdata/refused.c testdata/refused.o

// Test holds a dispatcher against what every chain means and promises.
func Test(t *testing.T, d dispatcher.Dispatcher) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, dispatcher.Dispatcher)
	}{
		{"every proceedOn", everyProceedOn},
		{"random chains", randomChains},
		{"order", order},
		{"same names", sameNames},
		{"one of several programs", oneOfSeveral},
		{"callback", callback},
		{"tail call", tailCall},
		{"frags", frags},
		{"kernel version", kernelVersion},
		{"CO-RE", coRE},
		{"members unchanged", membersUnchanged},
		{"given maps", givenMaps},
		{"wrong map given", wrongMapGiven},
		{"map refused", mapRefused},
		{"map in map", mapInMap},
		{"entry programs", entryPrograms},
		{"entry programs elsewhere", entryProgramsElsewhere},
		{"entry program refused", entryProgramRefused},
		{"member refused", memberRefused},
		{"bad members", badMembers},
		{"not permitted", notPermitted},
		{"canceled", canceled},
		{"nothing is left", nothingIsLeft},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, d) })
	}
}

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
