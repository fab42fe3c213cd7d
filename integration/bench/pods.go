// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"

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
	nameOther   = nameTen + byOther // made by the build to compare with
)

// byOther is what the names of figures end with that are of the build to compare with.
const byOther = ", the other build"

// addBuildRatio adds how many times what the other build's takes ours does.
func addBuildRatio(s *report.Section, what string, ours, others report.Samples) {
	s.Ratio(what+", this build / the other", ours, others)
}

// measurePods compares ADD and DEL of chains with those of other plugins and with
// what the kernel alone takes.
func measurePods(ctx context.Context, z sizes) (*report.Section, error) {
	built, err := workload.Build(ctx, 10, true)
	if err != nil {
		return nil, err
	}
	defer built.Close()
	contestants, pods, err := newContestants(z, built)
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
	if z.against != "" {
		ours, other := contestants[len(contestants)-2], contestants[len(contestants)-1]
		addBuildRatio(s, "ADD "+nameTen, ours.adds, other.adds)
		addBuildRatio(s, "DEL "+nameTen, ours.dels, other.dels)
		addBuildRatio(s, "start of xdp-chain", ours.starts, other.starts)
	}
	return s, workload.RemoveAll(pods)
}

// newContestants makes everybody a pod of their own, which they keep: a namespace
// that ends would disturb whoever comes next. Ours with a chain of ten is followed by the
// same of the build to compare with, if there is one; nobody comes after that.
func newContestants(z sizes, built *dispatcher.Built) (list contestants, pods []*workload.Pod, _ error) {
	conf := map[string]fields{
		nameNothing: {},
		nameTuning:  {"sysctl": fields{"net.ipv4.conf.IFNAME.arp_filter": "1"}},
	}
	binary := map[string]string{nameNothing: filepath.Join(z.bin, "nothing"), nameTuning: filepath.Join(z.bin, "tuning")}
	names := []string{nameNothing, nameTuning, nameBare}
	for _, n := range []int{0, 1, 5, 10} {
		name := fmt.Sprintf("chain of %d", n)
		names = append(names, name)
		conf[name], binary[name] = fields{"programs": workload.Programs(n)}, filepath.Join(z.bin, "xdp-chain")
	}
	if z.against != "" {
		names = append(names, nameOther)
		conf[nameOther], binary[nameOther] = conf[nameTen], filepath.Join(z.against, "xdp-chain")
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
		} else if c.it, err = newPlugin(binary[name], p, conf[name]); err != nil {
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
	list = slices.DeleteFunc(slices.Clone(list), func(c *contestant) bool {
		return c.name != nameNothing && c.name != nameTen && c.name != nameOther
	})
	for range z.podRounds {
		for _, i := range rand.Perm(len(list)) {
			took, err := list[i].it.(*plugin).run("VERSION")
			if err != nil {
				return err
			}
			list[i].starts = append(list[i].starts, took)
		}
	}
	base := s.Add("start of "+nameNothing, report.Milliseconds(list[0].starts.Median()), "ms")
	ours := s.Add("start of xdp-chain", report.Milliseconds(list[1].starts.Median()), "ms")
	ours.Against(base)
	s.Add("start of xdp-chain beyond nothing", ours.Value-base.Value, "ms").Target(startTarget)
	return nil
}
