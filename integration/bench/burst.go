// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/integration/bench/report"
	"github.com/xdp-chain/xdp-chain/integration/bench/workload"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// burstTarget is how many times the median the slowest ADD of pods that come at
// once may take.
const burstTarget = 3

// measureBurst makes all pods' chains at once, again and again: as the first ones
// of the machine, and behind so many programs that the kernel's XDP dispatcher has
// no room and lets nobody wait for a grace period.
func measureBurst(ctx context.Context, z sizes) (_ *report.Section, err error) {
	s := &report.Section{Name: "burst", Title: fmt.Sprintf("%d pods at once, %d times", z.burst, z.burstRounds)}
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
	pods  []*workload.Pod
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
		p, err := workload.NewPod(fmt.Sprintf("burst%d", i))
		if err != nil {
			return nil, errors.Join(err, b.remove())
		}
		b.pods = append(b.pods, p)
		// The kernel's dispatcher has one place for a program, however many interfaces
		// carry it: so each has one of its own, as chains do.
		built, err := workload.Build(ctx, 10, true)
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
func (b *burst) measure(ctx context.Context, s *report.Section, z sizes, where string) error {
	adds := make(map[*team][]report.Samples)
	var dels []report.Samples // ours
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
	s.Add("ADD"+where+", slowest / median, in the worst round", worstRatio(adds[b.ours]), "x").Target(burstTarget)
	reportBurst(s, "DEL "+nameTen+where, dels)
	return nil
}

// compete has one team do ADD and DEL of all pods.
func (b *burst) compete(t *team) (adds, dels report.Samples, err error) {
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
func (t *team) atOnce(verb func(attacher) (time.Duration, error)) (report.Samples, error) {
	took, errs := make(report.Samples, len(t.each)), make([]error, len(t.each))
	var all sync.WaitGroup
	for i, one := range t.each {
		all.Go(func() { took[i], errs[i] = verb(one) })
	}
	all.Wait()
	return took, errors.Join(errs...)
}

// reportBurst adds the medians over the rounds, of a round's median and of its
// slowest.
func reportBurst(s *report.Section, what string, rounds []report.Samples) {
	var medians, slowest report.Samples
	for _, round := range rounds {
		medians, slowest = append(medians, round.Median()), append(slowest, slices.Max(round))
	}
	s.Add(what+", the median", report.Milliseconds(medians.Median()), "ms")
	s.Add(what+", the slowest", report.Milliseconds(slowest.Median()), "ms")
}

// worstRatio is how many times its round's median the slowest was at most.
func worstRatio(rounds []report.Samples) float64 {
	var worst float64
	for _, round := range rounds {
		worst = max(worst, float64(slices.Max(round))/float64(round.Median()))
	}
	return worst
}

// remove ends the pods and unloads what was for the bare attach.
func (b *burst) remove() error {
	errs := []error{workload.RemoveAll(b.pods)}
	for _, built := range b.built {
		errs = append(errs, built.Close())
	}
	return errors.Join(errs...)
}

// droppingAt is the chain of ten of the i-th pod, of which another member drops
// everything than in its neighbours' chains; in every eleventh none does.
func droppingAt(i int) []config.Program {
	list := workload.Programs(10)
	if at := i % (len(list) + 1); at < len(list) {
		list[at].Object, list[at].Function = workload.DropPath, "drop"
	}
	return list
}

// decision is what a chain of [droppingAt] does with its one packet.
func decision(i int) chain.Count {
	if at := i % 11; at < 10 {
		return chain.Count{Member: workload.MemberName(at), Verdict: chain.VerdictDrop, Packets: 1}
	}
	return chain.Count{Member: chain.EndMember, Verdict: chain.VerdictPass, Packets: 1}
}

// check makes sure that each pod has its own chain: all members in order, as the
// verb CHECK says too, and of one packet what that chain alone decides.
func (b *burst) check() error {
	for i, p := range b.pods {
		if _, err := b.ours.each[i].(*plugin).run("CHECK"); err != nil {
			return err
		}
		if err := sendOne(p); err != nil {
			return fmt.Errorf("sending a packet into pod %s: %w", p.Name, err)
		}
	}
	n := node.Default()
	chains, err := inspect.List(n.Node)
	if err != nil {
		return err
	}
	keys := make(map[string]chain.Key)
	for _, c := range chains {
		if len(c.Owners) != 1 || !slices.Equal(names(c.Members), memberNames(10)) {
			return fmt.Errorf("chain %s of %v has the members %v", c.Key, c.Owners, names(c.Members))
		}
		keys[c.Owners[0].ContainerID] = c.Key
	}
	if len(chains) != len(b.pods) || len(keys) != len(b.pods) {
		return fmt.Errorf("%d pods have %d chains, of %d owners", len(b.pods), len(chains), len(keys))
	}
	return b.checkCounts(n, keys)
}

// checkCounts waits until each chain has counted its packet, which the kernel
// hands over when it comes to it.
func (b *burst) checkCounts(n *node.Node, keys map[string]chain.Key) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		all, err := inspect.Stats(n.Node)
		if err != nil {
			return err
		}
		rows := make(map[chain.Key][]chain.Count)
		for _, s := range all {
			rows[s.Key] = s.Rows
		}
		var wrong []error
		for i, p := range b.pods {
			if got, want := rows[keys[p.Name]], []chain.Count{decision(i)}; !slices.Equal(got, want) {
				wrong = append(wrong, fmt.Errorf("pod %s: one packet is counted as %v, want %v", p.Name, got, want))
			}
		}
		if len(wrong) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(wrong...)
		}
		time.Sleep(settle)
	}
}

// sendOne sends one packet out of the veth's end on the host.
func sendOne(p *workload.Pod) error {
	host, err := net.InterfaceByName(p.Name)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, newFrame(), 0, &unix.SockaddrLinklayer{Ifindex: host.Index})
}

func names(members []inspect.Member) []string {
	list := make([]string, len(members))
	for i, m := range members {
		list[i] = m.Name
	}
	return list
}

// memberNames are those of [workload.Programs].
func memberNames(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = workload.MemberName(i)
	}
	return list
}
