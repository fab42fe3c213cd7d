// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

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

// settle is how long to wait for what the kernel frees later.
const settle = 10 * time.Millisecond

// attacher makes a pod's interface ready and takes that back, and says how long
// each took.
type attacher interface {
	add() (time.Duration, error)
	del() (time.Duration, error)
}

// contestant is an attacher that is compared with others.
type contestant struct {
	name       string
	it         attacher
	adds, dels samples
}

// The contestants that others are measured against.
const (
	nameNothing = "a plugin that does nothing"
	nameTuning  = "tuning, one sysctl"
	nameBare    = "bare kernel attach"
	nameTen     = "chain of 10"
)

// measurePods compares ADD and DEL of chains with those of other plugins and with
// what the kernel alone takes.
func measurePods(ctx context.Context, z sizes) (*section, error) {
	built, err := build(ctx, 10, true)
	if err != nil {
		return nil, err
	}
	defer built.Close()
	contestants, pods, err := newContestants(z.bin, built)
	if err != nil {
		return nil, err
	}
	for range z.podRounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, i := range rand.Perm(len(contestants)) {
			if err := contestants[i].compete(); err != nil {
				return nil, fmt.Errorf("%s: %w", contestants[i].name, err)
			}
		}
	}
	s := &section{Name: "pods", Title: fmt.Sprintf("A pod, medians of %d", z.podRounds)}
	contestants.report(s, "ADD", func(c *contestant) samples { return c.adds }).atMost(addTarget)
	contestants.report(s, "DEL", func(c *contestant) samples { return c.dels })
	if err := measureStart(s, z, contestants); err != nil {
		return nil, err
	}
	for _, p := range pods {
		err = errors.Join(err, p.remove())
	}
	return s, err
}

type contestants []*contestant

// newContestants makes everybody a pod of their own, which they keep: a namespace
// that ends would disturb whoever comes next.
func newContestants(bin string, built *dispatcher.Built) (list contestants, pods []*pod, _ error) {
	conf := map[string]fields{
		nameNothing: {},
		nameTuning:  {"sysctl": fields{"net.ipv4.conf.IFNAME.arp_filter": "1"}},
	}
	binary := map[string]string{nameNothing: "nothing", nameTuning: "tuning"}
	names := []string{nameNothing, nameTuning, nameBare}
	for _, n := range []int{0, 1, 5, 10} {
		name := fmt.Sprintf("chain of %d", n)
		names = append(names, name)
		conf[name], binary[name] = fields{"programs": programs(n)}, "xdp-chain"
	}
	for i, name := range names {
		p, err := newPod(fmt.Sprintf("pod%d", i))
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

// compete does one ADD and one DEL.
func (c *contestant) compete() error {
	added, err := c.it.add()
	if err != nil {
		return err
	}
	time.Sleep(settle)
	deleted, err := c.it.del()
	if err != nil {
		return err
	}
	time.Sleep(settle)
	c.adds, c.dels = append(c.adds, added), append(c.dels, deleted)
	return nil
}

// report adds everybody's median of one verb, and returns what ours of ten takes
// beyond what it cannot help.
func (list contestants) report(s *section, verb string, of func(*contestant) samples) *figure {
	medians := make(map[string]*figure, len(list))
	for _, c := range list {
		f := s.add(verb+" "+c.name, ms(of(c).median()), "ms")
		medians[c.name] = f
		if c.name != nameNothing {
			f.against(medians[nameNothing])
		}
	}
	beyond := medians[nameTen].Value - medians[nameNothing].Value - medians[nameBare].Value
	return s.add(verb+" of 10 beyond nothing and the bare attach", beyond, "ms")
}

// measureStart compares how long binaries take to start: VERSION does no work.
func measureStart(s *section, z sizes, list contestants) error {
	starts := make(map[string]samples)
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
	base := s.add("start of "+nameNothing, ms(starts[nameNothing].median()), "ms")
	ours := s.add("start of xdp-chain", ms(starts[nameTen].median()), "ms")
	ours.against(base)
	s.add("start of xdp-chain beyond nothing", ours.Value-base.Value, "ms").atMost(startTarget)
	return nil
}
