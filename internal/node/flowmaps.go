// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
)

// The maps of the built-in program flow-stats, which is also its name in the catalog.
const (
	flowProgram = "flow-stats"
	flowsMap    = "flows"
	totalsMap   = "totals"
)

// The keys of totalsMap, enum total in bpf/flow-stats/flow-stats.c.
const (
	totalFlows uint32 = iota
	totalNotIP
	totalUnreadable
)

// wireFlow is struct flow in bpf/flow-stats/flow-stats.c, the key of flowsMap.
type wireFlow struct {
	Source          [16]byte // IPv4 as ::ffff:a.b.c.d
	Destination     [16]byte
	SourcePort      [2]byte // big endian
	DestinationPort [2]byte
	Protocol        uint8
	IPVersion       uint8 // 4 or 6
	LaterFragment   uint8
	Unused          uint8
}

// wireFlowTraffic is struct flow_traffic in bpf/flow-stats/flow-stats.c, the value of
// flowsMap.
type wireFlowTraffic struct {
	Packets   uint64
	Bytes     uint64
	FirstSeen uint64 // CLOCK_BOOTTIME, ns
	LastSeen  uint64
}

// wireTraffic is struct traffic in bpf/flow-stats/flow-stats.c, the value of totalsMap
// for each CPU.
type wireTraffic struct {
	Packets uint64
	Bytes   uint64
}

// flow makes of an entry what is shown of it. boot is when CLOCK_BOOTTIME was 0.
func (w wireFlow) flow(t wireFlowTraffic, boot time.Time) Flow {
	return Flow{
		Protocol: Protocol(w.Protocol), LaterFragments: w.LaterFragment != 0,
		Source: w.address(w.Source), SourcePort: binary.BigEndian.Uint16(w.SourcePort[:]),
		Destination: w.address(w.Destination), DestinationPort: binary.BigEndian.Uint16(w.DestinationPort[:]),
		Traffic:   Traffic{t.Packets, t.Bytes},
		FirstSeen: boot.Add(time.Duration(t.FirstSeen)).Round(time.Millisecond),
		LastSeen:  boot.Add(time.Duration(t.LastSeen)).Round(time.Millisecond),
	}
}

func (w wireFlow) address(a [16]byte) netip.Addr {
	if w.IPVersion == 4 {
		return netip.AddrFrom16(a).Unmap()
	}
	return netip.AddrFrom16(a)
}

// flowBatch is how many flows are read at once. It must hold what one bucket of the
// kernel's hash table has, which is a few.
const flowBatch = 4096

// readFlows reads the flows that a map has, the largest first. Reading does not make the
// kernel think that a flow is in use. Flows that come and go meanwhile may be missing.
func readFlows(m *ebpf.Map, boot time.Time) ([]Flow, error) {
	keys, values := make([]wireFlow, flowBatch), make([]wireFlowTraffic, flowBatch)
	found := make(map[wireFlow]wireFlowTraffic) // one that moves may be met twice
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		for i := range n {
			found[keys[i]] = values[i]
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) { // that was all
			break
		}
		if err != nil {
			return nil, err
		}
	}
	flows := make([]Flow, 0, len(found))
	for key, value := range found {
		flows = append(flows, key.flow(value, boot))
	}
	slices.SortFunc(flows, bySize)
	return flows, nil
}

// readTotal reads one of the totals, summed over the CPUs.
func readTotal(m *ebpf.Map, key uint32) (sum Traffic, err error) {
	var perCPU []wireTraffic
	if err := m.Lookup(key, &perCPU); err != nil {
		return sum, err
	}
	for _, t := range perCPU {
		sum.Packets += t.Packets
		sum.Bytes += t.Bytes
	}
	return sum, nil
}

// builtinFlowMaps returns the maps of the built-in program as its object declares them.
func builtinFlowMaps() (map[string]*ebpf.MapSpec, error) {
	entry, err := catalog.Builtin(flowProgram)
	if err != nil {
		return nil, err
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(entry.Content))
	if err != nil {
		return nil, fmt.Errorf("reading the %s: %w", entry.Origin, err)
	}
	return spec.Maps, nil
}

// isMade tells whether a map that the kernel has is made as declared: of that type, with
// a key and a value that its own BTF describes alike, down to the fields' names. That of
// another program that has the same name and the same sizes is not.
func isMade(m *ebpf.Map, as *ebpf.MapSpec) (bool, error) {
	if m.Type() != as.Type || m.KeySize() != as.KeySize || m.ValueSize() != as.ValueSize {
		return false, nil
	}
	handle, err := m.Handle()
	if errors.Is(err, ebpf.ErrNotSupported) { // made without BTF
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the BTF of map %q: %w", as.Name, err)
	}
	defer handle.Close()
	types, err := handle.Spec(nil)
	if err != nil {
		return false, fmt.Errorf("reading the BTF of map %q: %w", as.Name, err)
	}
	return hasType(types, as.Key) && hasType(types, as.Value), nil
}

// hasType tells whether a map's BTF, which is about its key and its value alone, has
// a type of that name and layout.
func hasType(types *btf.Spec, want btf.Type) bool {
	named, err := types.AnyTypesByName(want.TypeName())
	return err == nil && slices.ContainsFunc(named, func(t btf.Type) bool { return layout(t) == layout(want) })
}

// layout describes a type: its name and size, and those of a struct's fields with their
// offsets in bits.
func layout(t btf.Type) string {
	size, _ := btf.Sizeof(t) // -1 for what has none, which no key or value is
	text := fmt.Sprintf("%s:%d", t.TypeName(), size)
	if s, ok := t.(*btf.Struct); ok {
		for _, m := range s.Members {
			size, _ := btf.Sizeof(m.Type)
			text += fmt.Sprintf(" %s@%d:%d", m.Name, m.Offset, size)
		}
	}
	return text
}
