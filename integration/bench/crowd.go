// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/integration/bench/report"
	"github.com/xdp-chain/xdp-chain/integration/bench/workload"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// crowdTarget is how many times the first pods' ADD the last ones' may take.
const crowdTarget = 1.3

// crowd is many pods with chains of ten, all alive at once.
type crowd struct {
	pods   []*workload.Pod
	chains []crowdChain
	// crews make the chains: our build, and the one to compare with, if there is one. They
	// take turns, in a new random order each time.
	crews contestants
	order []int // of the crews, this time
	// rivals do their ADD beside the first pods' and beside the last pods', and tell
	// what of a difference is the kernel's.
	rivals contestants
}

// crowdChain is one pod's, and who makes it.
type crowdChain struct {
	*plugin
	crew *contestant
}

func newCrowd(z sizes) *crowd {
	c := &crowd{crews: contestants{{name: nameTen}}}
	if z.against != "" {
		c.crews = append(c.crews, &contestant{name: nameOther})
	}
	return c
}

// measureCrowd makes pods until there are many, and compares the last ones' ADD
// with the first ones'; then it takes all chains away and sees what memory that
// frees.
func measureCrowd(ctx context.Context, z sizes) (_ *report.Section, err error) {
	built, err := workload.Build(ctx, 10, true)
	if err != nil {
		return nil, err
	}
	defer built.Close()
	c := newCrowd(z)
	defer func() { err = errors.Join(err, c.remove()) }()
	if err := c.grow(ctx, z, built); err != nil {
		return nil, err
	}
	full, err := readMemory()
	if err != nil {
		return nil, err
	}
	if err := c.clear(ctx); err != nil {
		return nil, err
	}
	empty, err := readMemory()
	if err != nil {
		return nil, err
	}
	s := &report.Section{Name: "crowd", Title: fmt.Sprintf("%d pods alive at once, each with a chain of 10", z.crowd)}
	c.report(s, z.crowdEnds)
	full.minus(empty).report(s, z.crowd)
	return s, reportObjects(s, built)
}

// grow makes the pods and their chains.
func (c *crowd) grow(ctx context.Context, z sizes, built *dispatcher.Built) error {
	rival, err := c.newPod("rival")
	if err != nil {
		return err
	}
	nothing, err := newPlugin(filepath.Join(z.bin, "nothing"), rival, nil)
	if err != nil {
		return err
	}
	c.rivals = contestants{
		{name: nameNothing, it: nothing},
		{name: nameBare, it: &bare{program: built.Program, pod: rival}},
	}
	for i := range z.crowd {
		if err := ctx.Err(); err != nil {
			return err
		}
		if i < z.crowdEnds || i >= z.crowd-z.crowdEnds {
			for _, r := range c.rivals {
				if err := r.compete(); err != nil {
					return fmt.Errorf("%s: %w", r.name, err)
				}
			}
		}
		if err := c.join(z, i); err != nil {
			return err
		}
	}
	return nil
}

func (c *crowd) newPod(name string) (*workload.Pod, error) {
	p, err := workload.NewPod(name)
	if err == nil {
		c.pods = append(c.pods, p)
	}
	return p, err
}

// join makes one pod more, with its chain.
func (c *crowd) join(z sizes, i int) error {
	turn := i % len(c.crews)
	if turn == 0 {
		c.order = rand.Perm(len(c.crews))
	}
	crew := c.crews[c.order[turn]]
	bin := z.bin
	if crew.name == nameOther {
		bin = z.against
	}
	p, err := c.newPod(fmt.Sprintf("crowd%d", i))
	if err != nil {
		return err
	}
	chain, err := newPlugin(filepath.Join(bin, "xdp-chain"), p, fields{"programs": workload.Programs(10)})
	if err != nil {
		return err
	}
	time.Sleep(settle)
	took, err := chain.add()
	if err != nil {
		return err
	}
	c.chains, crew.adds = append(c.chains, crowdChain{chain, crew}), append(crew.adds, took)
	return nil
}

// clear takes all chains away and gives the kernel time to free them.
func (c *crowd) clear(ctx context.Context) error {
	for _, chain := range c.chains {
		if err := ctx.Err(); err != nil {
			return err
		}
		took, err := chain.del()
		if err != nil {
			return err
		}
		chain.crew.dels = append(chain.crew.dels, took)
	}
	time.Sleep(time.Second)
	return nil
}

// remove ends the pods.
func (c *crowd) remove() error { return workload.RemoveAll(c.pods) }

// report compares the first pods with the last.
func (c *crowd) report(s *report.Section, ends int) {
	compare := func(what string, all report.Samples) *report.Figure {
		first := s.Add(fmt.Sprintf("%s, first %d pods", what, ends), report.Milliseconds(all[:ends].Median()), "ms")
		last := s.Add(fmt.Sprintf("%s, last %d pods", what, ends), report.Milliseconds(all[len(all)-ends:].Median()), "ms")
		last.Against(first)
		return last
	}
	for _, r := range c.rivals {
		compare("ADD "+r.name, r.adds)
	}
	ours := c.crews[0]
	last := compare("ADD "+ours.name, ours.adds)
	s.Add("ADD, last pods / first pods", last.Times, "x").Target(crowdTarget)
	s.Add("ADD, the first pod", report.Milliseconds(ours.adds[0]), "ms")
	s.Add("ADD, the last pod", report.Milliseconds(ours.adds[len(ours.adds)-1]), "ms")
	compare("DEL "+ours.name, ours.dels)
	for _, other := range c.crews[1:] {
		compare("ADD "+other.name, other.adds)
		compare("DEL "+other.name, other.dels)
		addBuildRatio(s, "ADD "+ours.name, ours.adds, other.adds)
		addBuildRatio(s, "DEL "+ours.name, ours.dels, other.dels)
	}
}

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
func (m memory) report(s *report.Section, pods int) {
	for _, part := range []struct {
		name string
		kib  float64
	}{{"slab", m.slab}, {"per-CPU memory", m.perCPU}, {"vmalloc", m.vmalloc}, {"tmpfs", m.shmem}} {
		s.Add("freed by a DEL: "+part.name, part.kib/float64(pods), "KiB")
	}
}

// reportObjects adds what the kernel says about the programs and maps of a chain:
// "memlock" of their fdinfo, and the machine code.
func reportObjects(s *report.Section, built *dispatcher.Built) error {
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
	s.Add("memlock of the program", float64(program)/1024, "KiB")
	s.Add("its machine code", float64(code)/1024, "KiB")
	s.Add("memlock of the maps and counters", float64(maps)/1024, "KiB")
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
