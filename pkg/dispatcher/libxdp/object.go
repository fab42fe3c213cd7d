// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"bytes"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/bpf"
)

// configMap is the key of the map, in the dispatcher's object, whose only content is
// the config.
const configMap = ".rodata"

// dispatcherSpec reads the dispatcher of bpf/dispatcher and sets its config.
func dispatcherSpec(c *Config) (*ebpf.CollectionSpec, error) {
	object, err := bpf.Dispatchers.ReadFile(fmt.Sprintf("dispatcher/v%s.o", c.Version))
	if err != nil {
		return nil, err
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return nil, err
	}
	config := c.encode()
	rodata := spec.Maps[configMap]
	if int(rodata.ValueSize) != len(config) {
		return nil, fmt.Errorf("its config has %d bytes, not %d", rodata.ValueSize, len(config))
	}
	rodata.Contents[0].Value = config
	// Without variables the collection does not map the section into memory.
	spec.Variables = nil
	if c.Frags {
		spec.Programs[ProgramName].Flags |= unix.BPF_F_XDP_HAS_FRAGS
	}
	return spec, nil
}

// loadDispatcher loads a dispatcher, whose slots are empty.
func loadDispatcher(c *Config) (*ebpf.Program, error) {
	spec, err := dispatcherSpec(c)
	if err != nil {
		return nil, fmt.Errorf("reading version %s of libxdp's dispatcher: %w", c.Version, err)
	}
	loaded, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("loading libxdp's dispatcher for %d members: %w", len(c.Slots), err)
	}
	defer loaded.Close()
	return loaded.DetachProgram(ProgramName), nil
}
