// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// memory is what the kernel uses for itself, on the whole machine, in KiB: some
// lines of /proc/meminfo (proc_meminfo(5)).
type memory struct {
	slab    float64 // objects of many kinds
	perCPU  float64 // where per-CPU maps are
	vmalloc float64 // programs, larger maps
	shmem   float64 // records and stored objects, /run being a tmpfs
}

func readMemory() (memory, error) {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return memory{}, err
	}
	var m memory
	places := map[string]*float64{"Slab": &m.slab, "Percpu": &m.perCPU, "VmallocUsed": &m.vmalloc, "Shmem": &m.shmem}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(line, ":")
		if place := places[name]; place != nil {
			if _, err := fmt.Sscanf(value, "%f kB", place); err != nil {
				return memory{}, fmt.Errorf("/proc/meminfo: reading line %q: %w", line, err)
			}
		}
	}
	return m, nil
}

func (m memory) minus(o memory) memory {
	return memory{m.slab - o.slab, m.perCPU - o.perCPU, m.vmalloc - o.vmalloc, m.shmem - o.shmem}
}

// report adds what one of so many pods has to do with it.
func (m memory) report(s *section, pods int) {
	for _, part := range []struct {
		name string
		kib  float64
	}{{"slab", m.slab}, {"per-CPU memory", m.perCPU}, {"vmalloc", m.vmalloc}, {"tmpfs", m.shmem}} {
		s.add("freed by a DEL: "+part.name, part.kib/float64(pods), "KiB")
	}
}

// reportObjects adds what the kernel says about the programs and maps of a chain:
// "memlock" of their fdinfo, and the machine code.
func reportObjects(s *section, built *dispatcher.Built) error {
	info, err := built.Program.Info()
	if err != nil {
		return err
	}
	program, _ := info.Memlock()
	code, err := info.JitedSize()
	if err != nil {
		return err
	}
	maps, err := memlock(built.Counters)
	if err != nil {
		return err
	}
	for _, own := range built.Maps {
		for _, m := range own {
			one, err := memlock(m)
			if err != nil {
				return err
			}
			maps += one
		}
	}
	s.add("memlock of the program", float64(program)/1024, "KiB")
	s.add("its machine code", float64(code)/1024, "KiB")
	s.add("memlock of the maps and counters", float64(maps)/1024, "KiB")
	return nil
}

// memlock is the memory that the kernel charges for a map, in bytes.
func memlock(m *ebpf.Map) (uint64, error) {
	info, err := m.Info()
	if err != nil {
		return 0, err
	}
	bytes, _ := info.Memlock()
	return bytes, nil
}
