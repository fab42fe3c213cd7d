// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// Runtimes kill a plugin that takes too long. Whatever the moment, DEL must clear
// up and the next ADD must work; and so they must without the other.
func TestKilledAdd(t *testing.T) {
	testenv.NoLeaks(t)
	p := wiredPod(t, 0)
	conf := p.chained(nil, fields{"name": "count"}, closing(60), fields{"name": "pass", "side": "host"})
	whole := time.Hour
	for range 5 { // the first one has the objects to store
		whole = min(whole, timed(func() { p.must(t, "ADD", conf) }))
		p.must(t, "DEL", conf)
	}

	const kills = 100
	for round, killed := 0, 0; killed < kills; round++ {
		if round == 5*kills {
			t.Fatalf("only %d of %d ADDs were still running when they were killed", killed, round)
		}
		after := randomly(whole)
		if p.killed(t, "ADD", conf, after) {
			killed++
		}
		if round%2 == 0 {
			p.must(t, "DEL", conf)
			p.wantNothing(t, "DEL after an ADD killed", round, after)
		}
		p.must(t, "ADD", conf)
		p.must(t, "CHECK", conf)
		p.must(t, "DEL", conf)
		p.wantNothing(t, "ADD and DEL after an ADD killed", round, after)
	}
}

// The same for a DEL, and for an ADD that changes a chain that runs: afterwards the
// interface carries the old chain or the new one, never none.
func TestKilledDelAndChange(t *testing.T) {
	testenv.NoLeaks(t)
	p := wiredPod(t, 0)
	old := p.chained(nil, fields{"name": "count"})
	changed := p.chained(nil, fields{"name": "count"}, closing(60))
	change, del := time.Hour, time.Hour
	for range 5 {
		p.must(t, "ADD", old)
		change = min(change, timed(func() { p.must(t, "ADD", changed) }))
		del = min(del, timed(func() { p.must(t, "DEL", changed) }))
	}
	for round := range 60 {
		p.must(t, "ADD", old)
		after := randomly(change)
		p.killed(t, "ADD", changed, after)
		if p.podXDP(t).program == 0 {
			t.Fatalf("round %d: no chain after a change killed after %s", round, after)
		}
		p.must(t, "ADD", changed)
		p.must(t, "CHECK", changed)
		after = randomly(del)
		p.killed(t, "DEL", changed, after)
		p.must(t, "DEL", changed)
		p.wantNothing(t, "DEL after a DEL killed", round, after)
	}
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// randomly returns a moment of a call that takes that long.
func randomly(whole time.Duration) time.Duration { return rand.N(whole) }

// killed starts a verb, kills it with SIGKILL and tells whether it was still
// running then.
func (p *pod) killed(t *testing.T, verb string, conf any, after time.Duration) bool {
	t.Helper()
	cmd := p.command(t, verb, conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	_ = cmd.Process.Kill() // it may have ended
	return cmd.Wait() != nil
}

// wantNothing fails the test where anything is left of the pod's chains.
func (p *pod) wantNothing(t *testing.T, what string, round int, after time.Duration) {
	t.Helper()
	if left := records(t); len(left) != 0 {
		t.Fatalf("round %d: %s after %s left %v", round, what, after, left)
	}
	if sides := p.sides(t); sides != nil {
		t.Fatalf("round %d: %s after %s left chains on %v", round, what, after, sides)
	}
}

// tree lists the files below a folder that may not be there; folders end in a /.
func tree(t *testing.T, root string) (paths []string) {
	t.Helper()
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			path += "/"
		}
		if err == nil {
			paths = append(paths, path)
		}
		return nil
	})
	return paths
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
