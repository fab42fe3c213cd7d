// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// generation is what a generation of a chain pins.
type generation struct {
	counters *ebpf.Map
	maps     map[string]map[string]*ebpf.Map
	links    map[string]link.Link
}

// twoGenerations returns generations that have a map in common: acl stays and
// keeps its rules, count goes, limit comes. They have no link in common, as each
// has a dispatcher of its own.
func twoGenerations(t *testing.T) (first, second generation) {
	t.Helper()
	rules := newMap(t, "rules")
	first = generation{newMap(t, "counters1"), map[string]map[string]*ebpf.Map{
		"acl":   {"rules": rules, ".rodata": newMap(t, "rodata1")},
		"count": {"packets": newMap(t, "packets")},
		"pass":  {},
	}, map[string]link.Link{"acl": newSlot(t).Link, "count": newSlot(t).Link, "pass": newSlot(t).Link}}
	second = generation{newMap(t, "counters2"), map[string]map[string]*ebpf.Map{
		"acl":   {"rules": rules, ".rodata": newMap(t, "rodata2")},
		"limit": {"buckets": newMap(t, "buckets")},
	}, map[string]link.Link{"acl": newSlot(t).Link, "limit": newSlot(t).Link}}
	return first, second
}

// checkFinal compares what the chain's folder holds with a generation.
func checkFinal(t *testing.T, l *pin.Locked, want generation) {
	t.Helper()
	paths := map[string]bool{"maps": true}
	if want.counters == nil {
		if _, err := l.OpenCounters(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("counters: %v; want fs.ErrNotExist", err)
		}
	} else {
		paths["counters"] = true
		checkMap(t, "counters", l.OpenCounters, want.counters)
		checkMap(t, "counters without lock", func() (*ebpf.Map, error) { return tree.OpenCounters(key, 1) }, want.counters)
	}
	for member, maps := range want.maps {
		paths["maps/"+member] = true
		opened, err := l.OpenMaps(member)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(keysOf(maps), keysOf(opened)); diff != "" {
			t.Errorf("maps of %s (-want +got):\n%s", member, diff)
		}
		for name, m := range opened {
			checkMap(t, member+"/"+name, m.Clone, maps[name])
			checkMap(t, member+"/"+name+" without lock", func() (*ebpf.Map, error) { return tree.OpenMap(key, 1, member, name) }, maps[name])
			m.Close()
			paths["maps/"+member+"/"+escaped[name]] = true
		}
	}
	if want.links != nil {
		paths["links"] = true
	}
	for member := range want.links {
		paths["links/"+member] = true
	}
	checkLinks(t, l, want.links)
	if diff := cmp.Diff(paths, keysOf(listTree(t, chainFolder()))); diff != "" {
		t.Errorf("the chain's folder (-want +got):\n%s", diff)
	}
}

// escaped are the names of twoGenerations' maps on bpffs.
var escaped = map[string]string{"rules": "rules", ".rodata": ":rodata", "packets": "packets", "buckets": "buckets"}

func chainFolder() string { return filepath.Join(tree.Root, "xdp-chain/chains", key.String()) }

func checkMap(t *testing.T, name string, open func() (*ebpf.Map, error), want *ebpf.Map) {
	t.Helper()
	m, err := open()
	if err != nil {
		t.Error(name, err)
		return
	}
	defer m.Close()
	if want == nil {
		t.Errorf("%s: is there and should not be", name)
	} else if got, want := mapID(t, m), mapID(t, want); got != want {
		t.Errorf("%s: map %d, want %d", name, got, want)
	}
}

// finalize stages a generation and makes it the chain's.
func finalize(t *testing.T, l *pin.Locked, n uint64, g generation) {
	t.Helper()
	if err := l.Stage(n, g.counters, g.maps, g.links); err != nil {
		t.Fatal(err)
	}
	if err := l.FinalizePins(n); err != nil {
		t.Fatal(err)
	}
}

func TestGenerations(t *testing.T) {
	ensure(t)
	first, second := twoGenerations(t)
	silent := generation{nil, second.maps, second.links}
	for _, tt := range []struct {
		name          string
		before, after generation
	}{
		{"counters replaced", first, second},
		{"counters turned off", first, silent},
		{"counters turned on", silent, first},
		{"never any", silent, silent},
		{"links come", generation{first.counters, first.maps, nil}, second},
		{"links go", first, generation{second.counters, second.maps, nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := lockForTest(t, key)
			finalize(t, l, 1, tt.before)
			checkFinal(t, l, tt.before)
			if err := l.Stage(2, tt.after.counters, tt.after.maps, tt.after.links); err != nil {
				t.Fatal(err)
			}
			if err := l.FinalizePins(2); err != nil {
				t.Fatal(err)
			}
			checkFinal(t, l, tt.after)
			if err := l.FinalizePins(2); err != nil {
				t.Fatal("once more:", err)
			}
			checkFinal(t, l, tt.after)
		})
	}
}

func TestFinalizePinsTakesBackWhatDidNotRun(t *testing.T) {
	ensure(t)
	l := lockForTest(t, key)
	first, second := twoGenerations(t)
	finalize(t, l, 1, first)
	for _, n := range []uint64{2, 3, 3} {
		if err := l.Stage(n, second.counters, second.maps, second.links); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.FinalizePins(1); err != nil {
		t.Fatal(err)
	}
	checkFinal(t, l, first)
}

func TestMapsCanBeCarriedOverFromTheirPins(t *testing.T) {
	ensure(t)
	l := lockForTest(t, key)
	first, _ := twoGenerations(t)
	finalize(t, l, 1, first)
	kept, err := l.OpenMaps("acl")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range kept {
		defer m.Close()
	}
	second := generation{nil, map[string]map[string]*ebpf.Map{"acl": kept}, nil}
	if err := l.Stage(2, nil, second.maps, nil); err != nil {
		t.Fatal(err)
	}
	if err := l.FinalizePins(1); err != nil {
		t.Fatal(err)
	}
	checkFinal(t, l, first) // the pins of the running generation have not moved
	finalize(t, l, 3, second)
	checkFinal(t, l, second)
}

func TestStageLeavesNothingOfWhatFails(t *testing.T) {
	ensure(t)
	l := lockForTest(t, key)
	first, second := twoGenerations(t)
	finalize(t, l, 1, first)
	for _, bad := range []map[string]map[string]*ebpf.Map{
		{"acl": {"a/b": newMap(t, "rules")}},
		{"../../x": second.maps["acl"]},
	} {
		if err := l.Stage(2, second.counters, bad, second.links); err == nil {
			t.Errorf("staged %v", bad)
		}
	}
	checkFinal(t, l, first)
}

func TestOpenMapsOfNoMember(t *testing.T) {
	ensure(t)
	l := lockForTest(t, key)
	first, _ := twoGenerations(t)
	finalize(t, l, 1, first)
	if _, err := l.OpenMaps("nobody"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v; want fs.ErrNotExist", err)
	}
}

func TestPinsAreTheOwnersAlone(t *testing.T) {
	ensure(t)
	defer unix.Umask(unix.Umask(0))
	l := lockForTest(t, key)
	first, _ := twoGenerations(t)
	finalize(t, l, 1, first)
	for path, mode := range listTree(t, filepath.Join(tree.Root, "xdp-chain")) {
		if mode != fs.ModeDir|0o700 && mode != 0o600 {
			t.Errorf("%s: mode %v", path, mode)
		}
	}
}

// secondFromEnv opens the second generation's maps and links from the ids that env
// gives.
func secondFromEnv() (g generation, err error) {
	ids := make(map[string]*ebpf.Map)
	for _, name := range []string{"COUNTERS", "RULES", "RODATA", "BUCKETS"} {
		if ids[name], err = openByID(name); err != nil {
			return generation{}, err
		}
	}
	links := make(map[string]link.Link)
	for member, name := range map[string]string{"acl": "ACL", "limit": "LIMIT"} {
		if links[member], err = linkByID(name); err != nil {
			return generation{}, err
		}
	}
	return generation{ids["COUNTERS"], map[string]map[string]*ebpf.Map{
		"acl":   {"rules": ids["RULES"], ".rodata": ids["RODATA"]},
		"limit": {"buckets": ids["BUCKETS"]},
	}, links}, nil
}

func envOf(t *testing.T, g generation) []string {
	t.Helper()
	env := []string{
		fmt.Sprintf("RULES=%d", mapID(t, g.maps["acl"]["rules"])),
		fmt.Sprintf("RODATA=%d", mapID(t, g.maps["acl"][".rodata"])),
		fmt.Sprintf("BUCKETS=%d", mapID(t, g.maps["limit"]["buckets"])),
		fmt.Sprintf("ACL=%d", linkID(t, g.links["acl"])),
		fmt.Sprintf("LIMIT=%d", linkID(t, g.links["limit"])),
	}
	if g.counters != nil {
		env = append(env, fmt.Sprintf("COUNTERS=%d", mapID(t, g.counters)))
	}
	return env
}

func stageSecond() error {
	g, err := secondFromEnv()
	if err != nil {
		return err
	}
	ctx, cancel := childContext()
	defer cancel()
	l, err := tree.Lock(ctx, key)
	if err != nil {
		return err
	}
	return l.Stage(2, g.counters, g.maps, g.links)
}

func finalizeSecond() error {
	l, err := tree.TryLock(key)
	if err != nil {
		return err
	}
	return l.FinalizePins(2)
}

func removeChain() error {
	l, err := tree.TryLock(key)
	if err != nil {
		return err
	}
	return remove(l)
}

// putFirst makes the first generation the chain's.
func putFirst(t *testing.T, first generation) {
	t.Helper()
	l := lock(t, key)
	finalize(t, l, 1, first)
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestStageKilledAnywhere(t *testing.T) {
	ensure(t)
	first, second := twoGenerations(t)
	prepare := func(t *testing.T) { putFirst(t, first) }
	crashtest.AtSome(t, 20, "stage", envOf(t, second), prepare, func(t *testing.T) {
		l := lockForTest(t, key)
		if err := l.FinalizePins(1); err != nil {
			t.Fatal(err)
		}
		checkFinal(t, l, first)
		finalize(t, l, 3, second)
		checkFinal(t, l, second)
	})
}

func TestFinalizePinsKilledAnywhere(t *testing.T) {
	ensure(t)
	first, second := twoGenerations(t)
	silent := generation{nil, second.maps, second.links}
	for _, tt := range []struct {
		name   string
		second generation
	}{{"with counters", second}, {"without counters", silent}} {
		t.Run(tt.name, func(t *testing.T) {
			crashtest.AtSome(t, 20, "finalize", nil, func(t *testing.T) {
				putFirst(t, first)
				l := lock(t, key)
				defer l.Unlock()
				// What earlier changes left is in the way of none.
				if err := errors.Join(l.Stage(2, tt.second.counters, tt.second.maps, tt.second.links), l.Stage(7, nil, nil, nil)); err != nil {
					t.Fatal(err)
				}
			}, func(t *testing.T) {
				l := lockForTest(t, key)
				if tt.second.counters != nil {
					checkMap(t, "counters not final yet", func() (*ebpf.Map, error) { return tree.OpenCounters(key, 2) }, tt.second.counters)
				}
				checkMap(t, "map not final yet", func() (*ebpf.Map, error) { return tree.OpenMap(key, 2, "limit", "buckets") }, tt.second.maps["limit"]["buckets"])
				if err := l.FinalizePins(2); err != nil {
					t.Fatal(err)
				}
				checkFinal(t, l, tt.second)
			})
		})
	}
}

// TestFinalizePinsKilledAnywhereThenChanged is for a change that comes in before
// anybody finalized the pins of the one before.
func TestFinalizePinsKilledAnywhereThenChanged(t *testing.T) {
	ensure(t)
	first, second := twoGenerations(t)
	crashtest.AtSome(t, 20, "finalize", nil, func(t *testing.T) {
		putFirst(t, first)
		l := lock(t, key)
		defer l.Unlock()
		if err := l.Stage(2, second.counters, second.maps, second.links); err != nil {
			t.Fatal(err)
		}
	}, func(t *testing.T) {
		l := lockForTest(t, key)
		finalize(t, l, 3, generation{nil, first.maps, first.links})
		checkFinal(t, l, generation{nil, first.maps, first.links})
	})
}

func TestRemoveKilledAnywhere(t *testing.T) {
	ensure(t)
	first, second := twoGenerations(t)
	crashtest.AtSome(t, 20, "remove", nil, func(t *testing.T) {
		putFirst(t, first)
		l := lock(t, key)
		defer l.Unlock()
		k := attach(t)
		defer k.Close()
		if err := errors.Join(l.PinLink(k), l.Stage(2, second.counters, second.maps, second.links)); err != nil {
			t.Fatal(err)
		}
	}, func(t *testing.T) {
		l, err := tree.TryLock(key)
		if err == nil {
			err = remove(l)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if keys, err := tree.Keys(); len(keys) != 0 || err != nil {
			t.Errorf("keys: %v, %v; want none", keys, err)
		}
		if attached(t, false) {
			t.Error("the chain is still on its interface")
		}
	})
}

// checkLinks compares the links that a chain's members are opened with.
func checkLinks(t *testing.T, l *pin.Locked, want map[string]link.Link) {
	t.Helper()
	opened, err := l.OpenLinks()
	if err != nil {
		t.Error(err)
		return
	}
	if diff := cmp.Diff(linkIDs(t, want), linkIDs(t, opened)); diff != "" {
		t.Errorf("links of the members (-want +got):\n%s", diff)
	}
	for _, k := range opened {
		k.Close()
	}
}

func linkIDs(t *testing.T, links map[string]link.Link) map[string]link.ID {
	t.Helper()
	ids := make(map[string]link.ID, len(links))
	for member, k := range links {
		ids[member] = linkID(t, k)
	}
	return ids
}

// TestPinnedLinksHoldTheirMembers takes away every other hold on a link.
func TestPinnedLinksHoldTheirMembers(t *testing.T) {
	ensure(t)
	l := lockForTest(t, key)
	k := newSlot(t).Link
	want := map[string]link.ID{"a.b": linkID(t, k)}
	if err := l.Stage(1, nil, nil, map[string]link.Link{"a.b": k}); err != nil {
		t.Fatal(err)
	}
	if err := l.FinalizePins(1); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	opened, err := l.OpenLinks()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, linkIDs(t, opened)); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	// Staged from its pin it stays where it is pinned.
	if err := l.Stage(2, nil, nil, opened); err != nil {
		t.Error(err)
	}
	for _, k := range opened {
		k.Close()
	}
	if err := l.FinalizePins(1); err != nil {
		t.Fatal(err)
	}
	if opened, err = l.OpenLinks(); err != nil {
		t.Fatal(err)
	}
	defer opened["a.b"].Close()
	if diff := cmp.Diff(want, linkIDs(t, opened)); diff != "" {
		t.Errorf("links after staging them once more (-want +got):\n%s", diff)
	}
}

func TestStageRefusesNamesOfMembers(t *testing.T) {
	ensure(t)
	l := lockForTest(t, key)
	if err := l.Stage(1, nil, nil, map[string]link.Link{"../x": newSlot(t).Link}); err == nil {
		t.Error("staged a link outside of its folder")
	}
	if left := listTree(t, chainFolder()); len(left) != 0 {
		t.Errorf("left in the chain's folder: %v", left)
	}
}
