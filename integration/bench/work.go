// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
)

// checkWork makes sure that each of n members has counted all packets of some test
// runs, in the maps that the given programs use: a member that is passed over costs
// nothing.
func checkWork(programs []*ebpf.Program, n, runs int) error {
	counted := make(map[ebpf.MapID]uint64)
	for _, p := range programs {
		info, err := p.Info()
		if err != nil {
			return err
		}
		ids, _ := info.MapIDs()
		for _, id := range ids {
			if err := readCount(counted, id); err != nil {
				return fmt.Errorf("reading map %d: %w", id, err)
			}
		}
	}
	if len(counted) != n {
		return fmt.Errorf("%d members have a map to count packets in, not %d", len(counted), n)
	}
	for id, packets := range counted {
		// A run that a signal ends early is begun anew.
		if sent := uint64(runs * insnsPackets); packets < sent {
			return fmt.Errorf("of %d packets a member has counted %d in map %d", sent, packets, id)
		}
	}
	return nil
}

// readCount notes the packets in a map, if it is one that a member counts in.
func readCount(counted map[ebpf.MapID]uint64, id ebpf.MapID) error {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return err
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil || !strings.HasPrefix(info.Name, "packets") {
		return err
	}
	var perCPU []uint64
	if err := m.Lookup(uint32(0), &perCPU); err != nil {
		return err
	}
	counted[id] = 0
	for _, packets := range perCPU {
		counted[id] += packets
	}
	return nil
}
