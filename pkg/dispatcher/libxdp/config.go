// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Config is what a dispatcher says about itself in the one map that it uses, its
// .rodata: struct xdp_dispatcher_config of libxdp's xdp/prog_dispatcher.h. Its
// forms are, in the machine's byte order,
//
//	version     1    2    3
//	size       84  124  128
//	u8          -    0    0  magic, 236
//	u8          -    1    1  dispatcher_version
//	u8          0    2    2  num_progs_enabled
//	u8          -    3    3  is_xdp_frags
//	u32[10]     4    4    4  chain_call_actions
//	u32[10]    44   44   44  run_prios
//	u32[10]     -   84   84  program_flags
//	u8          -    -  124  is_xdp_devbound
//
// and the size is a multiple of 4.
type Config struct {
	// Version tells which of the forms it is; a dispatcher of version 1 does not say
	// so in its config but in its BTF.
	Version chain.LibxdpVersion
	// Frags says that the dispatcher takes packets of several buffers; version 1 does
	// not.
	Frags bool
	// Devbound says that the dispatcher and its programs are loaded for one device
	// (BPF_F_XDP_DEV_BOUND_ONLY); only version 3 knows of it.
	Devbound bool
	// Slots are the enabled slots in running order, at most [MaxMembers].
	Slots []SlotConfig
}

// SlotConfig is what the dispatcher's config says about one slot.
type SlotConfig struct {
	// Priority is run_prios: what the slots are ordered by.
	Priority int
	// ProceedOn is chain_call_actions as it is: libxdp always sets bit 31
	// (dispatcher_return) and does not show it.
	ProceedOn chain.ActionSet
	// Frags is BPF_F_XDP_HAS_FRAGS in program_flags: the program in the slot takes
	// packets of several buffers.
	Frags bool
}

// The layout, see [Config].
const (
	magic = 236

	offsetMagic      = 0
	offsetVersion    = 1
	offsetCount      = 2
	offsetFrags      = 3
	offsetActions    = 4
	offsetPriorities = offsetActions + 4*MaxMembers
	offsetFlags      = offsetPriorities + 4*MaxMembers
	offsetDevbound   = offsetFlags + 4*MaxMembers

	offsetCountV1 = 0
)

var configSizes = map[chain.LibxdpVersion]int{
	chain.LibxdpV1: 84,
	chain.LibxdpV2: 124,
	chain.LibxdpV3: 128,
}

// encode writes a config of version 2 or 3.
func (c *Config) encode() []byte {
	data := make([]byte, configSizes[c.Version])
	data[offsetMagic] = magic
	data[offsetVersion] = byte(c.Version)
	data[offsetCount] = byte(len(c.Slots))
	data[offsetFrags] = flag(c.Frags)
	for i, s := range c.Slots {
		binary.NativeEndian.PutUint32(data[offsetActions+4*i:], uint32(s.ProceedOn))
		binary.NativeEndian.PutUint32(data[offsetPriorities+4*i:], uint32(s.Priority))
		if s.Frags {
			binary.NativeEndian.PutUint32(data[offsetFlags+4*i:], unix.BPF_F_XDP_HAS_FRAGS)
		}
	}
	if c.Version == chain.LibxdpV3 {
		data[offsetDevbound] = flag(c.Devbound)
	}
	return data
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// versionOf reads the version that a config tells of itself; auto for one that does
// not, as those of version 1.
func versionOf(data []byte) chain.LibxdpVersion {
	if len(data) > offsetVersion && data[offsetMagic] == magic {
		return chain.LibxdpVersion(data[offsetVersion])
	}
	return chain.LibxdpVersionAuto
}

// decode reads a config of the given version. Errors satisfy errors.Is with
// [ErrVersion] or [ErrNotDispatcher].
func decode(version chain.LibxdpVersion, data []byte) (*Config, error) {
	switch size := configSizes[version]; {
	case size == 0:
		return nil, fmt.Errorf("%w: %d; known are 1 to 3", ErrVersion, uint8(version))
	case len(data) != size:
		return nil, fmt.Errorf("%w: its config is of %d bytes, in version %s of the protocol it has %d", ErrNotDispatcher, len(data), version, size)
	}
	count := int(data[offsetCount])
	if version == chain.LibxdpV1 {
		count = int(data[offsetCountV1])
	}
	if count > MaxMembers {
		return nil, fmt.Errorf("%w: it says that %d slots are enabled, of %d that there are", ErrNotDispatcher, count, MaxMembers)
	}
	c := &Config{Version: version, Slots: make([]SlotConfig, count)}
	for i := range c.Slots {
		c.Slots[i].ProceedOn = chain.ActionSet(binary.NativeEndian.Uint32(data[offsetActions+4*i:]))
		c.Slots[i].Priority = int(binary.NativeEndian.Uint32(data[offsetPriorities+4*i:]))
	}
	if version >= chain.LibxdpV2 {
		c.Frags = data[offsetFrags] != 0
		for i := range c.Slots {
			c.Slots[i].Frags = binary.NativeEndian.Uint32(data[offsetFlags+4*i:])&unix.BPF_F_XDP_HAS_FRAGS != 0
		}
	}
	if version >= chain.LibxdpV3 {
		c.Devbound = data[offsetDevbound] != 0
	}
	return c, nil
}

// Read reads the config of a dispatcher, whoever made it. A program that libxdp does
// not take for one is an error that satisfies errors.Is(err, [ErrNotDispatcher]): by
// its name, because it has no BTF, or does not use exactly one map that is an array of
// one entry that programs cannot write. A dispatcher newer than version 3 is
// [ErrVersion].
func Read(p *ebpf.Program) (*Config, error) {
	config, err := read(p)
	if err != nil {
		return nil, fmt.Errorf("reading what %s says of its chain: %w", p, err)
	}
	return config, nil
}

func read(p *ebpf.Program) (*Config, error) {
	info, err := p.Info()
	if err != nil {
		return nil, err
	}
	if info.Name != ProgramName {
		return nil, fmt.Errorf("%w: its name is %q, not %q", ErrNotDispatcher, info.Name, ProgramName)
	}
	if _, ok := info.BTFID(); !ok {
		return nil, fmt.Errorf("%w: it has no BTF", ErrNotDispatcher)
	}
	data, err := readMap(info)
	if err != nil {
		return nil, err
	}
	version := versionOf(data)
	if version == chain.LibxdpVersionAuto {
		if version, err = versionInBTF(p); err != nil {
			return nil, err
		}
	}
	return decode(version, data)
}

// readMap reads the only map of a dispatcher.
func readMap(info *ebpf.ProgramInfo) ([]byte, error) {
	ids, _ := info.MapIDs()
	if len(ids) != 1 {
		return nil, fmt.Errorf("%w: it uses %d maps, not 1", ErrNotDispatcher, len(ids))
	}
	m, err := ebpf.NewMapFromID(ids[0])
	if err != nil {
		return nil, fmt.Errorf("opening map %d: %w", ids[0], err)
	}
	defer m.Close()
	if m.Type() != ebpf.Array || m.MaxEntries() != 1 || m.Flags()&unix.BPF_F_RDONLY_PROG == 0 {
		return nil, fmt.Errorf("%w: map %d is no array of one entry that programs cannot write", ErrNotDispatcher, ids[0])
	}
	data, err := m.LookupBytes(uint32(0))
	if err != nil {
		return nil, fmt.Errorf("reading map %d: %w", ids[0], err)
	}
	return data, nil
}

// versionInBTF reads the version as libxdp's up to 1.2 wrote it down: in section
// xdp_metadata a variable dispatcher_version, of a type that libbpf's __uint makes,
// a pointer to an array of so many ints.
func versionInBTF(p *ebpf.Program) (chain.LibxdpVersion, error) {
	handle, err := p.Handle()
	if err != nil {
		return 0, err
	}
	defer handle.Close()
	types, err := handle.Spec(nil)
	if err != nil {
		return 0, err
	}
	var version *btf.Var
	if err := types.TypeByName("dispatcher_version", &version); errors.Is(err, btf.ErrNotFound) {
		return 0, fmt.Errorf("%w: neither its config nor its BTF tell a version", ErrNotDispatcher)
	} else if err != nil {
		return 0, err
	}
	pointer, ok := btf.As[*btf.Pointer](version.Type)
	if !ok {
		return 0, fmt.Errorf("%w: dispatcher_version in its BTF is a %s", ErrNotDispatcher, version.Type)
	}
	array, ok := btf.As[*btf.Array](pointer.Target)
	if !ok || array.Nelems == 0 || array.Nelems > 0xff {
		return 0, fmt.Errorf("%w: dispatcher_version in its BTF is a %s", ErrNotDispatcher, version.Type)
	}
	return chain.LibxdpVersion(array.Nelems), nil
}

// FunctionName returns the name by which libxdp shows and sorts a program: the
// kernel's, and where that is as long as the kernel keeps names (15 bytes) the whole
// one that its BTF has.
func FunctionName(p *ebpf.Program) (string, error) {
	info, err := p.Info()
	if err != nil {
		return "", fmt.Errorf("reading the name of %s: %w", p, err)
	}
	return info.Name, nil
}
