// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// Runtimes kill a plugin that takes too long. Whatever the moment, DEL must clear
// up and the next ADD must work; and so they must without the other.
func TestKilledAdd(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	conf := p.Chained(nil, fields{"name": "count"}, closing(60), fields{"name": "pass", "side": "host"})
	whole := time.Hour
	for range orShort(5, 2) { // the first one has the objects to store
		whole = min(whole, timed(func() { p.Must(t, "ADD", conf) }))
		p.Must(t, "DEL", conf)
	}

	kills := orShort(100, 4)
	for round, killed := 0, 0; killed < kills; round++ {
		if round == 5*kills {
			t.Fatalf("only %d of %d ADDs were still running when they were killed", killed, round)
		}
		after := randomly(whole)
		if wasKilled(t, p, "ADD", conf, after) {
			killed++
		}
		if round%2 == 0 {
			p.Must(t, "DEL", conf)
			wantNothing(t, p, "DEL after an ADD killed", round, after)
		}
		p.Must(t, "ADD", conf)
		p.Must(t, "CHECK", conf)
		p.Must(t, "DEL", conf)
		wantNothing(t, p, "ADD and DEL after an ADD killed", round, after)
	}
}

// The same for a DEL, and for an ADD that changes a chain that runs: afterwards the
// interface carries the old chain or the new one, never none.
func TestKilledDelAndChange(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	old := p.Chained(nil, fields{"name": "count"})
	changed := p.Chained(nil, fields{"name": "count"}, closing(60))
	change, del := time.Hour, time.Hour
	for range orShort(5, 2) {
		p.Must(t, "ADD", old)
		change = min(change, timed(func() { p.Must(t, "ADD", changed) }))
		del = min(del, timed(func() { p.Must(t, "DEL", changed) }))
	}
	for round := range orShort(60, 3) {
		p.Must(t, "ADD", old)
		after := randomly(change)
		wasKilled(t, p, "ADD", changed, after)
		if p.XDP(t).Program == 0 {
			t.Fatalf("round %d: no chain after a change killed after %s", round, after)
		}
		p.Must(t, "ADD", changed)
		p.Must(t, "CHECK", changed)
		after = randomly(del)
		wasKilled(t, p, "DEL", changed, after)
		p.Must(t, "DEL", changed)
		wantNothing(t, p, "DEL after a DEL killed", round, after)
	}
}

// orShort is how often something is tried, and how often where tests are to be
// short: integration/vm's, under emulation.
func orShort(times, short int) int {
	if testing.Short() {
		return short
	}
	return times
}

// firstPlugins make the pod's interface. Where tests are to be short it is one of
// them, and [TestLife] alone has both.
func firstPlugins() []string {
	if testing.Short() {
		return []string{"bridge"}
	}
	return []string{"bridge", "ptp"}
}

// someFamilies are the families of addresses, or one of them where tests are to be
// short; [TestLife] has them all.
func someFamilies() []family {
	if testing.Short() {
		return families[:1]
	}
	return families
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// randomly returns a moment of a call that takes that long.
func randomly(whole time.Duration) time.Duration { return rand.N(whole) }

// wasKilled starts a verb, kills it with SIGKILL and tells whether it was still
// running then.
func wasKilled(t *testing.T, p *plugintest.Pod, verb string, conf any, after time.Duration) bool {
	t.Helper()
	cmd := p.Command(t, verb, conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	_ = cmd.Process.Kill() // it may have ended
	return cmd.Wait() != nil
}

// wantNothing fails the test where anything is left of the pod's chains.
func wantNothing(t *testing.T, p *plugintest.Pod, what string, round int, after time.Duration) {
	t.Helper()
	if left := records(t); len(left) != 0 {
		t.Fatalf("round %d: %s after %s left %v", round, what, after, left)
	}
	if sides := chainedSides(t, p); sides != nil {
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
