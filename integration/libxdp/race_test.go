// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// In each round xdp-loader and the plugin change one chain at the same time, one after
// the other adding and removing a member, under a flood. No member is lost and no
// frame, and none gets past the members that stay. Where tests are to be short, one
// kernel of the lab has all the rounds and the others a few.
func TestChangesAtOnce(t *testing.T) {
	rounds := 200
	if testing.Short() && testenv.LabKernel() != "6.12" {
		rounds = 10
	}
	p := wired(t, 0)
	stays := p.Chained(inLibxdp, marking(t, "a", 10))
	p.Must(t, "ADD", stays)
	x := chainTools(t, p)
	x.load(t, "b", 20)
	comes := second(p, nil, marking(t, "e", 5))
	f := startFlood(t, p, "a", "b")
	retries := 0
	for round := range rounds {
		verb, change := "ADD", x.loadInRace
		want := "eabc"
		if round%2 == 1 {
			verb, change, want = "DEL", x.unloadInRace, "ab"
		}
		atOnce(t, func() error {
			n, err := change("c", 30)
			retries += n
			return err
		}, func() error { return called(t, p, verb, comes) })
		wantTrace(t, p, nil, want)
		if t.Failed() {
			t.Fatalf("in round %d, after %s", round, verb)
		}
	}
	f.end(t, p)
	t.Logf("%d rounds; xdp-loader failed and was called again %d times", rounds, retries)
	p.Must(t, "CHECK", stays)
	wantMembers(t, x, "mark_a", "mark_b")
	p.Must(t, "DEL", stays)
	wantTrace(t, p, nil, "b")
	vanish(t, p)
}

// The same from an interface with nothing on it, and back: who comes first makes the
// dispatcher, and who goes last takes it off.
func TestFirstAndLastAtOnce(t *testing.T) {
	p := wired(t, 0)
	conf := p.Chained(inLibxdp, marking(t, "a", 10))
	x := ownTools(t, p)
	// As long as the tree is there: xdp-loader that does not find it loads a program
	// without any dispatcher, and the last member of ours takes the tree away.
	keep := filepath.Join(x.bpffs, "keep")
	if err := os.Mkdir(keep, 0o700); err != nil {
		t.Fatal(err)
	}
	rounds := 10
	if testing.Short() {
		rounds = 4
	}
	for round := range rounds {
		atOnce(t, func() error {
			_, err := x.loadInRace("b", 20)
			return err
		}, func() error { return called(t, p, "ADD", conf) })
		wantTrace(t, p, nil, "ab")
		p.Must(t, "CHECK", conf)
		atOnce(t, func() error {
			_, err := x.unloadInRace("b", 20)
			return err
		}, func() error { return called(t, p, "DEL", conf) })
		wantTrace(t, p, nil, "")
		if on := p.XDP(t); on.Program != 0 {
			t.Fatalf("round %d left program %d", round, on.Program)
		}
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	if err := os.Remove(keep); err != nil {
		t.Fatal(err)
	}
	// Where the plugin went last it took the tree away, but for the folder that keep
	// was in. Where xdp-loader did, the tree is there, and goes with the chain's record.
	_ = unix.Rmdir(x.bpffs)
	vanish(t, p)
}

// atOnce runs two changes at the same time.
func atOnce(t *testing.T, theirs, ours func() error) {
	t.Helper()
	done := make(chan error)
	go func() { done <- theirs() }()
	if err := errors.Join(ours(), <-done); err != nil {
		t.Fatal(err)
	}
}

// called calls the plugin.
func called(t *testing.T, p *plugintest.Pod, verb string, conf any) error {
	t.Helper()
	if _, err := p.Call(t, verb, conf); err != nil {
		return fmt.Errorf("%s: %s", verb, plugintest.Describe(err))
	}
	return nil
}

// loadInRace loads a member, however often it takes, and returns how often xdp-loader
// failed. It does when the dispatcher that it has just read is another one, or its
// pins are gone: its own affair, as long as it is right when it says that it loaded.
func (x tools) loadInRace(letter string, priority int) (retries int, err error) {
	return untilDone(func() error {
		if err := x.tryLoad(letter, priority); err != nil {
			// It may have failed after it loaded.
			if m, _ := x.find("mark_" + letter); m != nil {
				return nil
			}
			return err
		}
		return nil
	})
}

// unloadInRace is loadInRace for unloading; the priority does not matter.
func (x tools) unloadInRace(letter string, _ int) (retries int, err error) {
	return untilDone(func() error {
		m, err := x.find("mark_" + letter)
		if err != nil {
			return err
		}
		if m == nil {
			return fmt.Errorf("xdp-loader shows no mark_%s to unload", letter)
		}
		if _, err = x.try("xdp-loader", "unload", x.ifname, "-i", fmt.Sprint(m.id)); err != nil {
			if again, findErr := x.find("mark_" + letter); findErr == nil && again == nil {
				return nil
			}
		}
		return err
	})
}

func untilDone(f func() error) (retries int, err error) {
	for deadline := time.Now().Add(timeout); ; retries++ {
		if err = f(); err == nil || time.Now().After(deadline) {
			return retries, err
		}
	}
}
