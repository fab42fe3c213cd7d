// SPDX-License-Identifier: Apache-2.0

package ratelimit_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/linked"
)

//go:generate ../compile.sh testdata/traffic.c testdata/traffic.o

// limitedTraffic is a chain with ratelimit between two members that keep record of
// what arrives and what passes, and when.
type limitedTraffic struct {
	*dispatcher.Built
	records *ebpf.Map
}

// newTraffic gives IPv4 packets so many sources in turn, and takes longer times
// without packets for pauses (see traffic.c).
func newTraffic(t testing.TB, sources uint32, pause time.Duration, g globals) limitedTraffic {
	t.Helper()
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	around, err := ebpf.LoadCollectionSpec("testdata/traffic.o")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{"sources": sources, "pause": uint64(pause)} {
		if err := around.Variables[name].Set(value); err != nil {
			t.Fatal(err)
		}
	}
	records, err := ebpf.NewMap(around.Maps["records"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { records.Close() })
	built, err := linked.New().Build(t.Context(), []dispatcher.Member{
		member("before", 0, around, records),
		member("ratelimit", 1, spec(t, g), nil),
		member("behind", 2, around, records),
	}, dispatcher.Options{Counters: true})
	if err != nil {
		t.Fatalf("building the chain: %+v", err)
	}
	t.Cleanup(func() {
		if err := built.Close(); err != nil {
			t.Error(err)
		}
	})
	return limitedTraffic{built, records}
}

func member(name string, priority int, spec *ebpf.CollectionSpec, records *ebpf.Map) dispatcher.Member {
	m := dispatcher.Member{
		Member: chain.Member{Name: name, Function: name, Priority: priority, ProceedOn: chain.DefaultProceedOn},
		Spec:   spec,
	}
	if records != nil {
		m.Maps = map[string]*ebpf.Map{"records": records}
	}
	return m
}

// outcome is what came of the packets until now. First and Now are when the first and
// the last of them came, FirstEmpty and LastEmpty when the buckets were found empty
// for the first and the last time.
type outcome struct {
	passed, dropped uint64
	record
}

// record is struct record of traffic.c.
type record struct {
	First, Now, FirstEmpty, LastEmpty moment
	InVain, NextSource                uint32
}

// moment is struct moment of traffic.c, times in ns.
type moment struct{ At, Paused, Passed uint64 }

func (m moment) since(earlier moment) time.Duration { return time.Duration(m.At - earlier.At) }

func (l limitedTraffic) outcome(t testing.TB) (o outcome) {
	t.Helper()
	counts, err := l.ReadCounters()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		switch {
		case c.Member == chain.EndMember:
			o.passed += c.Packets
		case c.Member == "ratelimit" && c.Verdict == chain.VerdictOf(uint32(chain.Drop)):
			o.dropped += c.Packets
		default:
			t.Errorf("unexpected: %+v", c)
		}
	}
	if err := l.records.Lookup(uint32(0), &o.record); err != nil {
		t.Fatal(err)
	}
	return o
}

// until goes on with the flood until it has kept the buckets empty for so long.
func (l limitedTraffic) until(t testing.TB, during time.Duration, flood func(o outcome)) outcome {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		o := l.outcome(t)
		if o.LastEmpty.since(o.FirstEmpty) >= during {
			return o
		}
		if time.Now().After(end) {
			t.Fatalf("the flood is slower than the limit: %+v", o)
		}
		flood(o)
	}
}

// flood lets frame through the chain again and again, as fast as so many CPUs can,
// until that has kept the buckets empty for so long.
func (l limitedTraffic) flood(t testing.TB, frame []byte, cpus int, during time.Duration) outcome {
	t.Helper()
	begin := time.Now()
	return l.until(t, during, func(o outcome) {
		// Few runs, since before Linux 5.13 each one waits for RCU at its ends.
		perSecond := float64(o.passed+o.dropped) / time.Since(begin).Seconds()
		packets := max(20_000, int((during-o.LastEmpty.since(o.FirstEmpty)).Seconds()*perSecond))
		inParallel(t, cpus, func() error { return l.run(frame, packets/cpus) })
	})
}

// inParallel runs f so many times at once.
func inParallel(t testing.TB, times int, f func() error) {
	t.Helper()
	done := make(chan error)
	for range times {
		go func() { done <- f() }()
	}
	var err error
	for range times {
		err = errors.Join(err, <-done)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// repeat lets so many packets through the chain, or more: a run that a signal ends
// early is begun anew.
func (l limitedTraffic) repeat(t testing.TB, frame []byte, packets int) {
	t.Helper()
	if err := l.run(frame, packets); err != nil {
		t.Fatal(err)
	}
}

func (l limitedTraffic) run(frame []byte, packets int) error {
	if _, err := l.Program.Run(&ebpf.RunOptions{Data: frame, Repeat: uint32(packets)}); err != nil {
		return fmt.Errorf("letting %d packets through: %w", packets, err)
	}
	return nil
}

// checkRate fails the test unless within 2 % so many packets a second passed from that
// moment to when the buckets were empty for the last time. In pauses fewer may.
func (o outcome) checkRate(t testing.TB, from moment, pps float64) {
	t.Helper()
	elapsed := o.LastEmpty.since(from).Seconds()
	paused := time.Duration(o.LastEmpty.Paused - from.Paused).Seconds()
	passed := float64(o.LastEmpty.Passed - from.Passed)
	t.Logf("%.0f packets passed in %.3f s, paused for %.3f s: %.1f a second, want %.1f; %d dropped in all",
		passed, elapsed, paused, passed/elapsed, pps, o.dropped)
	if least, most := 0.98*pps*(elapsed-paused), 1.02*pps*elapsed; passed < least || passed > most {
		t.Errorf("%.0f packets passed, want %.0f to %.0f", passed, least, most)
	}
}
