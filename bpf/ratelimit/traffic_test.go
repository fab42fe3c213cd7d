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

// limitedTraffic is a chain of traffic and ratelimit, which counts what comes of the
// packets, when they came, and how long none did for longer than a pause.
type limitedTraffic struct{ *dispatcher.Built }

func newTraffic(t testing.TB, sources uint32, pause time.Duration, g globals) limitedTraffic {
	t.Helper()
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	traffic, err := ebpf.LoadCollectionSpec("testdata/traffic.o")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{"sources": sources, "pause": uint64(pause)} {
		if err := traffic.Variables[name].Set(value); err != nil {
			t.Fatal(err)
		}
	}
	built, err := linked.New().Build(t.Context(), []dispatcher.Member{
		member("traffic", 0, traffic),
		member("ratelimit", 1, spec(t, g)),
	}, dispatcher.Options{Counters: true})
	if err != nil {
		t.Fatalf("building the chain: %+v", err)
	}
	t.Cleanup(func() {
		if err := built.Close(); err != nil {
			t.Error(err)
		}
	})
	return limitedTraffic{built}
}

func member(name string, priority int, spec *ebpf.CollectionSpec) dispatcher.Member {
	return dispatcher.Member{
		Member: chain.Member{Name: name, Function: name, Priority: priority, ProceedOn: chain.DefaultProceedOn},
		Spec:   spec,
	}
}

// outcome is what came of the packets until now.
type outcome struct {
	passed, dropped uint64
	elapsed         time.Duration // from the first packet to the last
	paused          time.Duration // the pauses of that
}

func (l limitedTraffic) outcome(t testing.TB) (o outcome) {
	t.Helper()
	counts, err := dispatcher.ReadCounters(l.Counters, []string{"traffic", "ratelimit"})
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
	var times struct{ First, Last, Paused uint64 } // struct times of traffic.c
	if err := l.Maps["traffic"]["times"].Lookup(uint32(0), &times); err != nil {
		t.Fatal(err)
	}
	o.elapsed = time.Duration(times.Last - times.First)
	o.paused = time.Duration(times.Paused)
	return o
}

// flood lets frame through the chain again and again, for at least so long and as
// fast as so many CPUs can, and then says what came of it.
func (l limitedTraffic) flood(t testing.TB, frame []byte, cpus int, during time.Duration) outcome {
	t.Helper()
	packets := 20_000
	for {
		// Few runs, since before Linux 5.13 each one waits for RCU at its ends.
		inParallel(t, cpus, func() error { return l.run(frame, packets/cpus) })
		o := l.outcome(t)
		if o.elapsed >= during {
			return o
		}
		perSecond := float64(o.passed+o.dropped) / max(o.elapsed-o.paused, time.Millisecond).Seconds()
		packets = max(packets, int((during-o.elapsed).Seconds()*perSecond))
	}
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
	t.Logf("%d passed, %d dropped in %v, paused for %v: %.1f a second and %.0f at once, want %.1f",
		o.passed, o.dropped, o.elapsed, o.paused, (float64(o.passed)-burst)/o.elapsed.Seconds(), burst, pps)
	least := burst + 0.98*pps*(o.elapsed-o.paused).Seconds()
	most := burst + 1.02*pps*o.elapsed.Seconds()
	if passed := float64(o.passed); passed < least || passed > most {
		t.Errorf("%d packets passed, want %.0f to %.0f", o.passed, least, most)
	}
	if o.dropped == 0 {
		t.Error("nothing was dropped: the flood is no test")
	}
}
