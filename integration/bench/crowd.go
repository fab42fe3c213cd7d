// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// crowdTarget is how many times the first pods' ADD the last ones' may take.
const crowdTarget = 1.3

// crowd is many pods with chains of ten, all alive at once.
type crowd struct {
	pods       []*pod
	chains     []*plugin
	adds, dels samples
	// rivals do their ADD beside the first pods' and beside the last pods', and tell
	// what of a difference is the kernel's.
	rivals contestants
}

// measureCrowd makes pods until there are many, and compares the last ones' ADD
// with the first ones'; then it takes all chains away and sees what memory that
// frees.
func measureCrowd(ctx context.Context, z sizes) (_ *section, err error) {
	built, err := build(ctx, 10, true)
	if err != nil {
		return nil, err
	}
	defer built.Close()
	c := new(crowd)
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
	s := &section{Name: "crowd", Title: fmt.Sprintf("%d pods alive at once, each with a chain of 10", z.crowd)}
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
		if err := c.join(filepath.Join(z.bin, "xdp-chain"), i); err != nil {
			return err
		}
	}
	return nil
}

func (c *crowd) newPod(name string) (*pod, error) {
	p, err := newPod(name)
	if err == nil {
		c.pods = append(c.pods, p)
	}
	return p, err
}

// join makes one pod more, with its chain.
func (c *crowd) join(path string, i int) error {
	p, err := c.newPod(fmt.Sprintf("crowd%d", i))
	if err != nil {
		return err
	}
	chain, err := newPlugin(path, p, fields{"programs": programs(10)})
	if err != nil {
		return err
	}
	time.Sleep(settle)
	took, err := chain.add()
	if err != nil {
		return err
	}
	c.chains, c.adds = append(c.chains, chain), append(c.adds, took)
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
		c.dels = append(c.dels, took)
	}
	time.Sleep(time.Second)
	return nil
}

// remove ends the pods.
func (c *crowd) remove() error {
	var errs []error
	for _, p := range c.pods {
		errs = append(errs, p.remove())
	}
	return errors.Join(errs...)
}

// report compares the first pods with the last.
func (c *crowd) report(s *section, ends int) {
	compare := func(what string, all samples) *figure {
		first := s.add(fmt.Sprintf("%s, first %d pods", what, ends), ms(all[:ends].median()), "ms")
		last := s.add(fmt.Sprintf("%s, last %d pods", what, ends), ms(all[len(all)-ends:].median()), "ms")
		last.against(first)
		return last
	}
	for _, r := range c.rivals {
		compare("ADD "+r.name, r.adds)
	}
	last := compare("ADD chain of 10", c.adds)
	s.add("ADD, last pods / first pods", last.Times, "x").atMost(crowdTarget)
	s.add("ADD, the first pod", ms(c.adds[0]), "ms")
	s.add("ADD, the last pod", ms(c.adds[len(c.adds)-1]), "ms")
	compare("DEL chain of 10", c.dels)
}
