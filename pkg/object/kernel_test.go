// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// run loads a program as it is and returns what it says to a frame.
func run(t *testing.T, p *Program, frame []byte) chain.Action {
	t.Helper()
	collection, err := ebpf.NewCollection(p.Spec)
	if errors.Is(err, unix.EPERM) {
		testenv.Skip(t, "needs the right to load BPF programs: "+err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer collection.Close()
	verdict, err := collection.Programs[p.Function].Run(&ebpf.RunOptions{Data: frame})
	if err != nil {
		t.Fatal(err)
	}
	return chain.Action(verdict)
}

// from makes an IPv4 frame with a source address, to a MAC address that ends in
// the given byte.
func from(mac byte, a, b, c, d byte) []byte {
	frame := make([]byte, 64)
	copy(frame, []byte{2, 0, 0, 0, 0, mac})
	copy(frame[12:], []byte{8, 0, 0x45})
	copy(frame[26:], []byte{a, b, c, d})
	return frame
}

func TestKernelSeesGlobals(t *testing.T) {
	tests := []struct {
		globals string
		want    chain.Action
	}{
		{`{}`, chain.Pass},
		{`{"verdict": 3}`, chain.TX},
		{`{"limit": 99}`, chain.Drop},
		{`{"verdict": 0, "hits": 5, "u64": "0xffffffffffffffff"}`, chain.Aborted},
	}
	for _, test := range tests {
		t.Run(test.globals, func(t *testing.T) {
			p := program(t, "globals.o", "globals")
			if err := p.SetGlobals(raw(test.globals)); err != nil {
				t.Fatal(err)
			}
			if got := run(t, p, make([]byte, 64)); got != test.want {
				t.Errorf("the program returns %v; want %v", got, test.want)
			}
		})
	}
}

func TestKernelSeesEntries(t *testing.T) {
	settings := map[string]MapSettings{
		"rules": {MaxEntries: 1000, Entries: entries(
			`"10.0.0.0/8"`, `{"verdict": 1}`,
			`"10.1.0.0/16"`, `{"verdict": 2}`,
			`"10.1.2.3"`, `{"verdict": "0x3"}`,
		)},
		"names": {Entries: entries(`"02:00:00:00:00:07"`, `"x7"`)},
	}
	// verdict + list[0] + each[0]: the program takes index 0 where map tables has entries
	added := map[string]MapSettings{
		"rules": settings["rules"],
		"list":  {Entries: entries(`0`, `1`)},
		"each":  {Entries: entries(`0`, `"1"`)},
	}
	tests := []struct {
		name     string
		settings map[string]MapSettings
		frame    []byte
		want     chain.Action
	}{
		{"no rule", settings, from(1, 192, 0, 2, 1), chain.Pass},
		{"shortest prefix", settings, from(1, 10, 2, 0, 1), chain.Drop},
		{"longer prefix", settings, from(1, 10, 1, 0, 1), chain.Pass},
		{"address", settings, from(1, 10, 1, 2, 3), chain.TX},
		{"MAC address", settings, from(7, 10, 2, 0, 1), chain.TX},
		{"array and per-CPU array", added, from(1, 10, 2, 0, 1), chain.TX},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := program(t, "maps.o", "")
			if err := p.ConfigureMaps(test.settings); err != nil {
				t.Fatal(err)
			}
			if got := run(t, p, test.frame); got != test.want {
				t.Errorf("the program returns %v; want %v", got, test.want)
			}
		})
	}
}

// TestKernelTakesEveryCPU reads a per-CPU value back.
func TestKernelTakesEveryCPU(t *testing.T) {
	p := program(t, "maps.o", "")
	entry := MapEntry{Key: json.RawMessage(`1`), Value: json.RawMessage(`9`)}
	if err := p.ConfigureMaps(map[string]MapSettings{"each": {Entries: []MapEntry{entry}}}); err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.NewMap(p.Spec.Maps["each"])
	if errors.Is(err, unix.EPERM) {
		testenv.Skip(t, "needs the right to make BPF maps: "+err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var values []uint32
	if err := m.Lookup(uint32(1), &values); err != nil {
		t.Fatal(err)
	}
	for cpu, value := range values {
		if value != 9 {
			t.Errorf("CPU %d has %d; want 9", cpu, value)
		}
	}
}
