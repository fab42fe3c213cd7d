// SPDX-License-Identifier: Apache-2.0

// Package flowstats reads the maps of the built-in program flow-stats, whose source
// stands beside it.
package flowstats

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/bpf"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// The program's maps, as they are called in its object.
const (
	FlowsMap  = "flows"
	TotalsMap = "totals"
)

// Declared returns the program's maps by name, as its object declares them.
func Declared() (map[string]*ebpf.MapSpec, error) {
	content, err := bpf.Objects.ReadFile("flow-stats/flow-stats.o")
	if err != nil {
		return nil, fmt.Errorf("reading the built-in program %q: %w", "flow-stats", err)
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("reading the built-in flow-stats: %w", err)
	}
	return spec.Maps, nil
}

// MadeAs tells whether a map that the kernel has is made as declared: of that type, with
// a key and a value that its own BTF describes alike, down to the fields' names. That of
// another program that has the same name and the same sizes is not.
func MadeAs(m *ebpf.Map, declared *ebpf.MapSpec) (bool, error) {
	if m.Type() != declared.Type || m.KeySize() != declared.KeySize || m.ValueSize() != declared.ValueSize {
		return false, nil
	}
	handle, err := m.Handle()
	if errors.Is(err, ebpf.ErrNotSupported) { // made without BTF
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the BTF of map %q: %w", declared.Name, err)
	}
	defer handle.Close()
	types, err := handle.Spec(nil)
	if err != nil {
		return false, fmt.Errorf("reading the BTF of map %q: %w", declared.Name, err)
	}
	return hasType(types, declared.Key) && hasType(types, declared.Value), nil
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

// Flow is what a member has counted of the packets that have the same protocol,
// addresses and ports.
type Flow struct {
	Protocol IPProtocol `json:"protocol"`
	Source   netip.Addr `json:"source"`
	// The ports are 0 where the protocol has none, and in later fragments.
	SourcePort      uint16     `json:"sourcePort"`
	Destination     netip.Addr `json:"destination"`
	DestinationPort uint16     `json:"destinationPort"`
	// LaterFragments tells that these are the fragments of the protocol's packets that
	// do not have its ports, all but the first of each packet.
	LaterFragments bool `json:"laterFragments,omitempty"`
	Traffic
	// The times of the first and the last packet, to the millisecond. They were taken by
	// the clock that counts from boot, so all of them move when the wall clock is set.
	FirstSeen time.Time `json:"firstSeen"`
	LastSeen  time.Time `json:"lastSeen"`
}

// Traffic is a number of packets, and of the bytes of their frames, Ethernet headers
// included.
type Traffic struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Totals are what the program has counted, of flows that it remembers or not.
type Totals struct {
	Flows      Traffic // packets that are of a flow
	NotIP      Traffic
	Unreadable Traffic // IP of which the flow cannot be told
}

// Forgotten returns what the flows counted that had to make room for others, given those
// that are remembered: nothing where these have more than the total.
func (t Totals) Forgotten(remembered []Flow) Traffic {
	var kept Traffic
	for _, f := range remembered {
		kept.Packets += f.Packets
		kept.Bytes += f.Bytes
	}
	return Traffic{t.Flows.Packets - min(t.Flows.Packets, kept.Packets), t.Flows.Bytes - min(t.Flows.Bytes, kept.Bytes)}
}

// ReadTotals reads [TotalsMap], each total summed over the CPUs.
func ReadTotals(m *ebpf.Map) (Totals, error) {
	var t Totals
	for key, sum := range map[uint32]*Traffic{totalFlows: &t.Flows, totalNotIP: &t.NotIP, totalUnreadable: &t.Unreadable} {
		var perCPU []Traffic // struct traffic in flow-stats.c
		if err := m.Lookup(key, &perCPU); err != nil {
			return Totals{}, err
		}
		for _, one := range perCPU {
			sum.Packets += one.Packets
			sum.Bytes += one.Bytes
		}
	}
	return t, nil
}

// The keys of [TotalsMap], enum total in flow-stats.c.
const (
	totalFlows uint32 = iota
	totalNotIP
	totalUnreadable
)

// flowKey is struct flow in flow-stats.c, the key of [FlowsMap].
type flowKey struct {
	Source          [16]byte // IPv4 as ::ffff:a.b.c.d
	Destination     [16]byte
	SourcePort      [2]byte // big endian
	DestinationPort [2]byte
	Protocol        uint8
	IPVersion       uint8 // 4 or 6
	LaterFragment   uint8
	Unused          uint8
}

// flowTraffic is struct flow_traffic in flow-stats.c, the value of [FlowsMap].
type flowTraffic struct {
	Packets   uint64
	Bytes     uint64
	FirstSeen uint64 // CLOCK_BOOTTIME, ns
	LastSeen  uint64
}

// flow makes of an entry what is shown of it. boot is when CLOCK_BOOTTIME was 0.
func (k flowKey) flow(t flowTraffic, boot time.Time) Flow {
	return Flow{
		Protocol: IPProtocol(k.Protocol), LaterFragments: k.LaterFragment != 0,
		Source: k.address(k.Source), SourcePort: binary.BigEndian.Uint16(k.SourcePort[:]),
		Destination: k.address(k.Destination), DestinationPort: binary.BigEndian.Uint16(k.DestinationPort[:]),
		Traffic:   Traffic{t.Packets, t.Bytes},
		FirstSeen: boot.Add(time.Duration(t.FirstSeen)).Round(time.Millisecond),
		LastSeen:  boot.Add(time.Duration(t.LastSeen)).Round(time.Millisecond),
	}
}

func (k flowKey) address(a [16]byte) netip.Addr {
	if k.IPVersion == 4 {
		return netip.AddrFrom16(a).Unmap()
	}
	return netip.AddrFrom16(a)
}

// flowBatch is how many flows are read at once. It must hold what one bucket of the
// kernel's hash table has, which is a few.
const flowBatch = 4096

// ReadFlows reads the flows that a map has, the largest first. Reading does not make the
// kernel think that a flow is in use. Flows that come and go meanwhile may be missing.
func ReadFlows(m *ebpf.Map, boot time.Time) ([]Flow, error) {
	keys, values := make([]flowKey, flowBatch), make([]flowTraffic, flowBatch)
	found := make(map[flowKey]flowTraffic) // one that moves may be met twice
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

// bySize puts the largest flow first, and leaves nothing to chance.
func bySize(a, b Flow) int {
	return cmp.Or(
		cmp.Compare(b.Bytes, a.Bytes),
		cmp.Compare(b.Packets, a.Packets),
		a.Source.Compare(b.Source),
		a.Destination.Compare(b.Destination),
		cmp.Compare(a.Protocol, b.Protocol),
		cmp.Compare(a.SourcePort, b.SourcePort),
		cmp.Compare(a.DestinationPort, b.DestinationPort),
		compareBools(a.LaterFragments, b.LaterFragments),
	)
}

// compareBools puts false first.
func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// IPProtocol is the number of an IP protocol, as IANA assigns it. It prints as its name,
// the one that the program acl takes too, or else as the number.
type IPProtocol uint8

var protocolNames = map[IPProtocol]string{
	1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 58: "icmpv6", 132: "sctp",
}

// HasPorts tells whether the protocol's packets begin with a source and a destination
// port.
func (p IPProtocol) HasPorts() bool { return p == 6 || p == 17 || p == 132 }

// String returns the protocol's name, or its number in decimal.
func (p IPProtocol) String() string {
	if name, ok := protocolNames[p]; ok {
		return name
	}
	return strconv.Itoa(int(p))
}

// MarshalText returns the same as String.
func (p IPProtocol) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText takes what String prints, and the number of a protocol that has a name.
// Errors satisfy errors.Is(err, [chain.ErrInvalid]).
func (p *IPProtocol) UnmarshalText(text []byte) error {
	for number, name := range protocolNames {
		if name == string(text) {
			*p = number
			return nil
		}
	}
	number, err := strconv.ParseUint(string(text), 10, 8)
	if err != nil {
		return fmt.Errorf("%w: IP protocol %q; give a name such as tcp or a number up to 255", chain.ErrInvalid, text)
	}
	*p = IPProtocol(number)
	return nil
}
