// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// burstTarget is how many times the median the slowest ADD of pods that come at
// once may take.
const burstTarget = 3

// measureBurst makes all pods' chains at once, again and again: as the first ones
// of the machine, and behind so many programs that the kernel's XDP dispatcher has
// no room and lets nobody wait for a grace period.
func measureBurst(ctx context.Context, z sizes) (_ *section, err error) {
	s := &section{Name: "burst", Title: fmt.Sprintf("%d pods at once, %d times", z.burst, z.burstRounds)}
	b, err := newBurst(ctx, z)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.remove()) }()
	if err := b.measure(ctx, s, z, ""); err != nil {
		return nil, err
	}
	slots, err := fillSlots("burst-slots")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, slots.remove()) }()
	return s, b.measure(ctx, s, z, fmt.Sprintf(", beyond %d programs", kernelSlots))
}

// burst is some pods, and teams that make them ready.
type burst struct {
	pods  []*pod
	built []*dispatcher.Built // for the bare attach
	ours  *team
	teams []*team
}

// team does the same for each pod.
type team struct {
	name string
	each []attacher
}

func newBurst(ctx context.Context, z sizes) (*burst, error) {
	ours := &team{name: nameTen}
	nothing, attach := &team{name: nameNothing}, &team{name: nameBare}
	b := &burst{ours: ours, teams: []*team{nothing, attach, ours}}
	for i := range z.burst {
		p, err := newPod(fmt.Sprintf("burst%d", i))
		if err != nil {
			return nil, errors.Join(err, b.remove())
		}
		b.pods = append(b.pods, p)
		// The kernel's dispatcher has one place for a program, however many interfaces
		// carry it: so each has one of its own, as chains do.
		built, err := build(ctx, 10, true)
		if err != nil {
			return nil, errors.Join(err, b.remove())
		}
		b.built = append(b.built, built)
		attach.each = append(attach.each, &bare{program: built.Program, pod: p})
		idle, errIdle := newPlugin(filepath.Join(z.bin, "nothing"), p, nil)
		chain, errChain := newPlugin(filepath.Join(z.bin, "xdp-chain"), p, fields{"programs": droppingAt(i)})
		if err := errors.Join(errIdle, errChain); err != nil {
			return nil, errors.Join(err, b.remove())
		}
		nothing.each, ours.each = append(nothing.each, idle), append(ours.each, chain)
	}
	return b, nil
}

// measure adds each team's figures, over some rounds of ADD and DEL of all pods.
func (b *burst) measure(ctx context.Context, s *section, z sizes, where string) error {
	adds := make(map[*team][]samples)
	var dels []samples // ours
	for range z.burstRounds {
		for _, i := range rand.Perm(len(b.teams)) {
			if err := ctx.Err(); err != nil {
				return err
			}
			t := b.teams[i]
			added, deleted, err := b.compete(t)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			adds[t] = append(adds[t], added)
			if t == b.ours {
				dels = append(dels, deleted)
			}
		}
	}
	for _, t := range b.teams {
		reportBurst(s, "ADD "+t.name+where, adds[t])
	}
	s.add("ADD"+where+", slowest / median, in the worst round", worstRatio(adds[b.ours]), "x").atMost(burstTarget)
	reportBurst(s, "DEL "+nameTen+where, dels)
	return nil
}

// compete has one team do ADD and DEL of all pods.
func (b *burst) compete(t *team) (adds, dels samples, err error) {
	if adds, err = t.atOnce(attacher.add); err != nil {
		return nil, nil, err
	}
	if t == b.ours {
		if err := b.check(); err != nil {
			return nil, nil, err
		}
	}
	time.Sleep(settle)
	dels, err = t.atOnce(attacher.del)
	time.Sleep(settle)
	return adds, dels, err
}

// atOnce does one verb for all pods, and returns how long each took.
func (t *team) atOnce(verb func(attacher) (time.Duration, error)) (samples, error) {
	took, errs := make(samples, len(t.each)), make([]error, len(t.each))
	var all sync.WaitGroup
	for i, one := range t.each {
		all.Go(func() { took[i], errs[i] = verb(one) })
	}
	all.Wait()
	return took, errors.Join(errs...)
}

// reportBurst adds the medians over the rounds, of a round's median and of its
// slowest.
func reportBurst(s *section, what string, rounds []samples) {
	var medians, slowest samples
	for _, round := range rounds {
		medians, slowest = append(medians, round.median()), append(slowest, slices.Max(round))
	}
	s.add(what+", the median", ms(medians.median()), "ms")
	s.add(what+", the slowest", ms(slowest.median()), "ms")
}

// worstRatio is how many times its round's median the slowest was at most.
func worstRatio(rounds []samples) float64 {
	var worst float64
	for _, round := range rounds {
		worst = max(worst, float64(slices.Max(round))/float64(round.median()))
	}
	return worst
}

// remove ends the pods and unloads what was for the bare attach.
func (b *burst) remove() error {
	var errs []error
	for _, p := range b.pods {
		errs = append(errs, p.remove())
	}
	for _, built := range b.built {
		errs = append(errs, built.Close())
	}
	return errors.Join(errs...)
}
