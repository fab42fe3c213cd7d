// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

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
