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
		Spec:   spec.Copy(),
	}
	m.Spec.Programs = map[string]*ebpf.ProgramSpec{name: m.Spec.Programs[name]}
	if records != nil {
		m.Maps = map[string]*ebpf.Map{"records": records}
	}
	return m
}

// outcome is what came of the packets until now.
type outcome struct {
	passed, dropped uint64
	elapsed         time.Duration // from the first packet to the last
	// empty is how it was when a bucket was found empty for the last time: so many
	// packets had passed since the first one.
	empty struct {
		passed          uint64
		elapsed, paused time.Duration
	}
}

// record is struct record of traffic.c.
type record struct {
	First, Last, Paused, Passed, InVain   uint64
	EmptyAt, PausedAtEmpty, PassedAtEmpty uint64
	NextSource                            uint32
	_                                     uint32
}

func (l limitedTraffic) outcome(t testing.TB) (o outcome) {
	t.Helper()
	counts, err := dispatcher.ReadCounters(l.Counters, []string{"before", "ratelimit", "behind"})
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
	var r record
	if err := l.records.Lookup(uint32(0), &r); err != nil {
		t.Fatal(err)
	}
	o.elapsed = time.Duration(r.Last - r.First)
	if r.EmptyAt != 0 {
		o.empty.passed = r.PassedAtEmpty
		o.empty.elapsed = time.Duration(r.EmptyAt - r.First)
		o.empty.paused = time.Duration(r.PausedAtEmpty)
	}
	return o
}

// until goes on with the flood until there is an outcome of at least so long.
func (l limitedTraffic) until(t testing.TB, during time.Duration, flood func(o outcome)) outcome {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		o := l.outcome(t)
		if o.empty.elapsed >= during {
			return o
		}
		if time.Now().After(end) {
			t.Fatalf("the flood is slower than the limit: %+v", o)
		}
		flood(o)
	}
}

// flood lets frame through the chain again and again, for at least so long and as
// fast as so many CPUs can, and then says what came of it.
func (l limitedTraffic) flood(t testing.TB, frame []byte, cpus int, during time.Duration) outcome {
	t.Helper()
	begin := time.Now()
	return l.until(t, during, func(o outcome) {
		// Few runs, since before Linux 5.13 each one waits for RCU at its ends.
		perSecond := float64(o.passed+o.dropped) / time.Since(begin).Seconds()
		packets := max(20_000, int((during-o.empty.elapsed).Seconds()*perSecond))
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

// repeat lets so many packets through the chain.
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

// checkRate fails the test unless a burst passed and then, within 2 %, so many packets
// a second. Of what a pause is, as much as could have passed in it need not have.
func (o outcome) checkRate(t testing.TB, burst, pps float64) {
	t.Helper()
	e := o.empty
	t.Logf("%d packets passed in %v, paused for %v: %.0f at once and %.1f a second, want %.1f; %d dropped in all",
		e.passed, e.elapsed, e.paused, burst, (float64(e.passed)-burst)/e.elapsed.Seconds(), pps, o.dropped)
	least := burst + 0.98*pps*(e.elapsed-e.paused).Seconds()
	most := burst + 1.02*pps*e.elapsed.Seconds()
	if passed := float64(e.passed); passed < least || passed > most {
		t.Errorf("%d packets passed, want %.0f to %.0f", e.passed, least, most)
	}
}
