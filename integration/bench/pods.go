// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"github.com/xdp-chain/xdp-chain/integration/bench/report"
	"github.com/xdp-chain/xdp-chain/integration/bench/workload"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

const (
	// addTarget is what ADD of ten members may take beyond a plugin that does
	// nothing and the bare attach, in ms.
	addTarget = 10
	// startTarget is what starting our binary may take beyond one that does
	// nothing, in ms.
	startTarget = 1.5
)

// The contestants that others are measured against.
const (
	nameNothing = "a plugin that does nothing"
	nameTuning  = "tuning, one sysctl"
	nameBare    = "bare kernel attach"
	nameTen     = "chain of 10"
)

// measurePods compares ADD and DEL of chains with those of other plugins and with
// what the kernel alone takes.
func measurePods(ctx context.Context, z sizes) (*report.Section, error) {
	built, err := workload.Build(ctx, 10, true)
	if err != nil {
		return nil, err
	}
	defer built.Close()
	contestants, pods, err := newContestants(z.bin, built)
	if err != nil {
		return nil, err
	}
	if err := contestants.compete(ctx, z.podRounds); err != nil {
		return nil, err
	}
	s := &report.Section{Name: "pods", Title: fmt.Sprintf("A pod, medians of %d", z.podRounds)}
	contestants.report(s, "ADD", func(c *contestant) report.Samples { return c.adds }).Target(addTarget)
	contestants.report(s, "DEL", func(c *contestant) report.Samples { return c.dels })
	if err := measureStart(s, z, contestants); err != nil {
		return nil, err
	}
	return s, workload.RemoveAll(pods)
}

// newContestants makes everybody a pod of their own, which they keep: a namespace
// that ends would disturb whoever comes next.
func newContestants(bin string, built *dispatcher.Built) (list contestants, pods []*workload.Pod, _ error) {
	conf := map[string]fields{
		nameNothing: {},
		nameTuning:  {"sysctl": fields{"net.ipv4.conf.IFNAME.arp_filter": "1"}},
	}
	binary := map[string]string{nameNothing: "nothing", nameTuning: "tuning"}
	names := []string{nameNothing, nameTuning, nameBare}
	for _, n := range []int{0, 1, 5, 10} {
		name := fmt.Sprintf("chain of %d", n)
		names = append(names, name)
		conf[name], binary[name] = fields{"programs": workload.Programs(n)}, "xdp-chain"
	}
	for i, name := range names {
		p, err := workload.NewPod(fmt.Sprintf("pod%d", i))
		if err != nil {
			return nil, nil, err
		}
		pods = append(pods, p)
		c := &contestant{name: name}
		if name == nameBare {
			c.it = &bare{program: built.Program, pod: p}
		} else if c.it, err = newPlugin(filepath.Join(bin, binary[name]), p, conf[name]); err != nil {
			return nil, nil, err
		}
		list = append(list, c)
	}
	return list, pods, nil
}

// report adds everybody's median of one verb, and returns what ours of ten takes
// beyond what it cannot help.
func (list contestants) report(s *report.Section, verb string, of func(*contestant) report.Samples) *report.Figure {
	medians := make(map[string]*report.Figure, len(list))
	for _, c := range list {
		f := s.Add(verb+" "+c.name, report.Milliseconds(of(c).Median()), "ms")
		medians[c.name] = f
		if c.name != nameNothing {
			f.Against(medians[nameNothing])
		}
	}
	beyond := medians[nameTen].Value - medians[nameNothing].Value - medians[nameBare].Value
	return s.Add(verb+" of 10 beyond nothing and the bare attach", beyond, "ms")
}

// measureStart compares how long binaries take to start: VERSION does no work.
func measureStart(s *report.Section, z sizes, list contestants) error {
	starts := make(map[string]report.Samples)
	names := []string{nameNothing, nameTen}
	for range z.podRounds {
		for _, i := range rand.Perm(len(names)) {
			for _, c := range list {
				if c.name != names[i] {
					continue
				}
				took, err := c.it.(*plugin).run("VERSION")
				if err != nil {
					return err
				}
				starts[c.name] = append(starts[c.name], took)
			}
		}
	}
	base := s.Add("start of "+nameNothing, report.Milliseconds(starts[nameNothing].Median()), "ms")
	ours := s.Add("start of xdp-chain", report.Milliseconds(starts[nameTen].Median()), "ms")
	ours.Against(base)
	s.Add("start of xdp-chain beyond nothing", ours.Value-base.Value, "ms").Target(startTarget)
	return nil
}
