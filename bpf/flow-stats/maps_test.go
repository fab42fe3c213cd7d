// SPDX-License-Identifier: Apache-2.0

package flowstats

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// The structs that are read are those of the committed object, field by field.
func TestFlowWireStructs(t *testing.T) {
	declared, err := Declared()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		is   btf.Type
		wire any
	}{
		{declared[FlowsMap].Key, flowKey{}},
		{declared[FlowsMap].Value, flowTraffic{}},
		{declared[TotalsMap].Value, Traffic{}},
	} {
		is, ok := tt.is.(*btf.Struct)
		if !ok {
			t.Fatalf("%v is no struct", tt.is)
		}
		wire := reflect.TypeOf(tt.wire)
		if int(is.Size) != int(wire.Size()) || len(is.Members) != wire.NumField() {
			t.Errorf("struct %s has %d bytes in %d fields, %s %d in %d", is.Name, is.Size, len(is.Members), wire.Name(), wire.Size(), wire.NumField())
			continue
		}
		for i, m := range is.Members {
			f := wire.Field(i)
			size, err := btf.Sizeof(m.Type)
			if err != nil {
				t.Fatal(err)
			}
			sameName := strings.EqualFold(strings.ReplaceAll(m.Name, "_", ""), f.Name)
			if !sameName || int(m.Offset.Bytes()) != int(f.Offset) || size != int(f.Type.Size()) {
				t.Errorf("struct %s has %s of %d bytes at %d, %s has %s of %d at %d", is.Name, m.Name, size, m.Offset.Bytes(), wire.Name(), f.Name, f.Type.Size(), f.Offset)
			}
		}
	}
}

func TestMadeAs(t *testing.T) {
	declared, err := Declared()
	if err != nil {
		t.Fatal(err)
	}
	// changed returns the value's struct with another field where the first one is.
	changed := func(change func(*btf.Struct)) btf.Type {
		s := btf.Copy(declared[FlowsMap].Value).(*btf.Struct)
		change(s)
		return s
	}
	for _, tt := range []struct {
		name   string
		change func(*ebpf.MapSpec)
		want   bool
	}{
		{"as it is", func(*ebpf.MapSpec) {}, true},
		{"of another size", func(m *ebpf.MapSpec) { m.MaxEntries = 16 }, true},
		{"of another name", func(m *ebpf.MapSpec) { m.Name = "table" }, true},
		{"of another type", func(m *ebpf.MapSpec) { m.Type = ebpf.Hash }, false},
		{"without BTF", func(m *ebpf.MapSpec) { m.Key, m.Value = nil, nil }, false},
		{"another struct of the same layout", func(m *ebpf.MapSpec) {
			m.Value = changed(func(s *btf.Struct) { s.Name = "connection" })
		}, false},
		{"a field of another name", func(m *ebpf.MapSpec) {
			m.Value = changed(func(s *btf.Struct) { s.Members[0].Name = "drops" })
		}, false},
		{"fields in another order", func(m *ebpf.MapSpec) {
			m.Value = changed(func(s *btf.Struct) {
				s.Members[0].Name, s.Members[1].Name = s.Members[1].Name, s.Members[0].Name
			})
		}, false},
		{"another key", func(m *ebpf.MapSpec) {
			key := btf.Copy(m.Key).(*btf.Struct)
			key.Members[0].Name, key.Members[1].Name = key.Members[1].Name, key.Members[0].Name
			m.Key = key
		}, false},
		{"a longer value", func(m *ebpf.MapSpec) {
			m.ValueSize += 8
			m.Value = changed(func(s *btf.Struct) {
				last := s.Members[len(s.Members)-1]
				last.Name, last.Offset = "drops", last.Offset+64
				s.Members, s.Size = append(s.Members, last), s.Size+8
			})
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := declared[FlowsMap].Copy()
			tt.change(spec)
			got, err := MadeAs(newMap(t, spec), declared[FlowsMap])
			if err != nil || got != tt.want {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func newMap(t *testing.T, spec *ebpf.MapSpec) *ebpf.Map {
	t.Helper()
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.NewMap(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// More flows than are read at once come each one once, the largest first.
func TestReadManyFlows(t *testing.T) {
	declared, err := Declared()
	if err != nil {
		t.Fatal(err)
	}
	spec := declared[FlowsMap].Copy()
	const count = 2*flowBatch + 100
	spec.MaxEntries = 2 * count // a CPU keeps some room for itself
	m := newMap(t, spec)
	for i := range uint32(count) {
		key := flowKey{Protocol: 17, IPVersion: 6}
		binary.BigEndian.PutUint32(key.Source[12:], i)
		if err := m.Put(key, flowTraffic{Packets: 1, Bytes: uint64(i), FirstSeen: 1, LastSeen: uint64(time.Second)}); err != nil {
			t.Fatal(err)
		}
	}
	boot := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	flows, err := ReadFlows(m, boot)
	if err != nil {
		t.Fatal(err)
	}
	if len(flows) != count {
		t.Fatalf("%d flows, want %d", len(flows), count)
	}
	for i, f := range flows {
		source := f.Source.As16()
		if want := uint32(count - 1 - i); f.Bytes != uint64(want) || binary.BigEndian.Uint32(source[12:]) != want {
			t.Fatalf("flow %d is %+v", i, f)
		}
	}
	if f := flows[0]; !f.FirstSeen.Equal(boot) || !f.LastSeen.Equal(boot.Add(time.Second)) {
		t.Errorf("seen from %v to %v", f.FirstSeen, f.LastSeen)
	}
}

// The largest come first, and equal ones in an order that is the same every time.
func TestOrderOfFlows(t *testing.T) {
	low, high := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")
	want := []Flow{
		{Source: high, Destination: high, Traffic: Traffic{1, 200}},
		{Source: high, Destination: high, Traffic: Traffic{2, 100}},
		{Source: low, Destination: low, Protocol: 6, SourcePort: 1, DestinationPort: 9, Traffic: Traffic{1, 100}},
		{Source: low, Destination: low, Protocol: 6, SourcePort: 2, DestinationPort: 8, Traffic: Traffic{1, 100}},
		{Source: low, Destination: low, Protocol: 6, SourcePort: 2, DestinationPort: 9, Traffic: Traffic{1, 100}},
		{Source: low, Destination: low, Protocol: 17, Traffic: Traffic{1, 100}},
		{Source: low, Destination: low, Protocol: 17, LaterFragments: true, Traffic: Traffic{1, 100}},
		{Source: low, Destination: high, Traffic: Traffic{1, 100}},
		{Source: high, Destination: low, Traffic: Traffic{1, 100}},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, bySize)
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestProtocolsPrintAndParse(t *testing.T) {
	for p := range 256 {
		var parsed IPProtocol
		if err := parsed.UnmarshalText([]byte(IPProtocol(p).String())); err != nil || int(parsed) != p {
			t.Errorf("%d prints as %q, which is %d: %v", p, IPProtocol(p), parsed, err)
		}
	}
	for text, want := range map[string]IPProtocol{"tcp": 6, "6": 6, "icmpv6": 58, "253": 253} {
		var p IPProtocol
		if err := p.UnmarshalText([]byte(text)); err != nil || p != want {
			t.Errorf("%q is %d, %v; want %d", text, p, err, want)
		}
	}
	for _, text := range []string{"", "TCP", "256", "-1", "tcp "} {
		if err := new(IPProtocol).UnmarshalText([]byte(text)); !errors.Is(err, chain.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
