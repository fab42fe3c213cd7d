// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// filter is a program with maps of many kinds: "list" is an array of 4, and "names"
// is declared LIBBPF_PIN_BY_NAME.
func filter(t *testing.T, name string, maps map[string]config.MapSettings) config.Program {
	t.Helper()
	return config.Program{Name: name, Object: absolute(t, "../../pkg/object/testdata/maps.o"), Maps: maps}
}

// listOf makes "list" the network's, with one entry.
func listOf(value string) map[string]config.MapSettings {
	return map[string]config.MapSettings{"list": {
		Scope:   config.ScopeNode,
		Entries: []config.MapEntry{{Key: json.RawMessage("2"), Value: json.RawMessage(value)}},
	}}
}

func networkMap(n *Node, network, name string) string {
	return filepath.Join(n.BPFFS.Root, "xdp-chain/node", network, name)
}

// readPinned reads entry 2 of an array.
func readPinned(t *testing.T, path string) (value uint64) {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Lookup(uint32(2), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func pinnedID(t *testing.T, path string) ebpf.MapID {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return id
}

func TestPodsOfANetworkShareNodeScopedMaps(t *testing.T) {
	testenv.NoLeaks(t)
	n, first, second, other := Default(), newPod(t, 0), newPod(t, 0), newPod(t, 0)
	other.Network = "other.net"
	for i, p := range []*pod{first, second, other} {
		p.apply(t, n, sharing()...)
		p.send(t, n, i+1)
	}
	shared, others := networkMap(n, "podnet", "count:traffic"), networkMap(n, "other:net", "count:traffic")
	if got := sumPinned(t, shared); got != 3 {
		t.Errorf("the network's map says %d packets, want 3", got)
	}
	if got := sumPinned(t, others); got != 3 {
		t.Errorf("the other network's map says %d packets, want 3", got)
	}
	first.remove(t, n)
	second.send(t, n, 1)
	if got := sumPinned(t, shared); got != 4 {
		t.Errorf("without the first pod the network's map says %d packets, want 4", got)
	}
	second.remove(t, n)
	if _, err := os.Stat(filepath.Dir(shared)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the maps of a network without pods: %v", err)
	}
	other.remove(t, n)
}

// A pod's configuration puts its entries into the network's map. A chain that is
// built again for other reasons does not put its old ones back.
func TestEntriesOfNodeScopedMaps(t *testing.T) {
	testenv.NoLeaks(t)
	n, older, younger := Default(), newPod(t, 0), newPod(t, 0)
	list := networkMap(n, "podnet", "filter:list")
	expect := func(when string, want uint64) {
		t.Helper()
		if got := readPinned(t, list); got != want {
			t.Errorf("%s the entry is %d, want %d", when, got, want)
		}
	}
	older.apply(t, n, filter(t, "filter", listOf("5")))
	expect("first", 5)
	younger.apply(t, n, filter(t, "filter", listOf("7")))
	expect("after a pod with another value", 7)
	guest := *older
	guest.Network = "guests"
	guest.apply(t, n, programs("pass")...)
	guest.remove(t, n)
	expect("after the older chain was built again", 7)
	older.check(t, n)
	older.apply(t, n, filter(t, "filter", listOf("9")))
	expect("after a change of the older pod", 9)
	older.remove(t, n)
	younger.remove(t, n)
}

func TestMapsPinnedByNameAreSharedByPrograms(t *testing.T) {
	testenv.NoLeaks(t)
	n, p, other := Default(), newPod(t, 0), newPod(t, 0)
	p.apply(t, n, filter(t, "a", nil), filter(t, "b", map[string]config.MapSettings{"list": {Scope: config.ScopeNode}}))
	other.apply(t, n, filter(t, "c", nil))
	want := pinnedID(t, networkMap(n, "podnet", "names"))
	for _, path := range []string{p.folder(t, n) + "/maps/a/names", p.folder(t, n) + "/maps/b/names", other.folder(t, n) + "/maps/c/names"} {
		if got := pinnedID(t, path); got != want {
			t.Errorf("%s is map %d, the network's is %d", path, got, want)
		}
	}
	if a, b := pinnedID(t, p.folder(t, n)+"/maps/a/list"), pinnedID(t, p.folder(t, n)+"/maps/b/list"); a == b {
		t.Errorf("both have map %d as their list", a)
	}
	p.remove(t, n)
	other.remove(t, n)
}

// pinList pins an array at a path of its own until the test ends.
func pinList(t *testing.T, entries uint32) string {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: entries})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	path := filepath.Join("/sys/fs/bpf", strings.ReplaceAll(t.Name(), "/", "-"))
	if err := m.Pin(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
	return path
}

func TestPinnedMapIsUsedAndStays(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	path := pinList(t, 4)
	guest := *p
	guest.Network = "guests"
	p.apply(t, n, filter(t, "filter", map[string]config.MapSettings{"list": {Pinned: path}}))
	if got, want := pinnedID(t, p.folder(t, n)+"/maps/filter/list"), pinnedID(t, path); got != want {
		t.Errorf("the chain has map %d, pinned is %d", got, want)
	}
	// Who built it again for a guest needs the pin no more.
	want := pinnedID(t, path)
	if err := os.Rename(path, path+"-away"); err != nil {
		t.Fatal(err)
	}
	guest.apply(t, n, programs("pass")...)
	guest.remove(t, n)
	if err := os.Rename(path+"-away", path); err != nil {
		t.Fatal(err)
	}
	if got := pinnedID(t, p.folder(t, n)+"/maps/filter/list"); got != want {
		t.Errorf("built again the chain has map %d, pinned is %d", got, want)
	}
	p.check(t, n)
	p.remove(t, n)
	if got := pinnedID(t, path); got != want {
		t.Errorf("after the chain is gone %s is map %d, was %d", path, got, want)
	}
}

// Each of these is refused with a word about the map, and neither makes maps of the
// network nor changes those there are.
func TestMapsThatCannotBeGiven(t *testing.T) {
	testenv.ShardByKernel(t, 0)
	n := Default()
	settings := func(name string, s config.MapSettings) map[string]config.MapSettings {
		return map[string]config.MapSettings{name: s}
	}
	for _, tt := range []struct {
		name string
		maps func(t *testing.T) map[string]config.MapSettings
		says []string
	}{
		{"another size in the network", func(*testing.T) map[string]config.MapSettings {
			return settings("list", config.MapSettings{Scope: config.ScopeNode, MaxEntries: 8})
		}, []string{`program "filter"`, `the network's map "filter.list" has another shape`, "MaxEntries"}},
		{"inner maps of the object", func(*testing.T) map[string]config.MapSettings {
			return settings("tables", config.MapSettings{Scope: config.ScopeNode})
		}, []string{`map "tables"`, "give it scope pod"}},
		{"a ring that is no power of two", func(*testing.T) map[string]config.MapSettings {
			return settings("events", config.MapSettings{Scope: config.ScopeNode, MaxEntries: 1000})
		}, []string{`program "filter"`, `make the network's map "filter.events"`}},
		{"nothing pinned", func(*testing.T) map[string]config.MapSettings {
			return settings("list", config.MapSettings{Pinned: "/sys/fs/bpf/nothing"})
		}, []string{`map "list"`, "/sys/fs/bpf/nothing"}},
		{"another size pinned", func(t *testing.T) map[string]config.MapSettings {
			return settings("list", config.MapSettings{Pinned: pinList(t, 8)})
		}, []string{`map "list"`, "pinned at /sys/fs/bpf/", "MaxEntries"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			there, p := newPod(t, 0), newPod(t, 0)
			there.apply(t, n, filter(t, "filter", listOf("5")))
			p.Programs = append(sharing(), filter(t, "filter", tt.maps(t)))
			err := n.Apply(t.Context(), p.Attachment)
			if !errors.Is(err, object.ErrUnusable) && !errors.Is(err, dispatcher.ErrMapRefused) {
				t.Fatalf("got %v, want an ErrUnusable or an ErrMapRefused", err)
			}
			for _, words := range tt.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("got %q, want it to say %q", err, words)
				}
			}
			if _, err := os.Stat(networkMap(n, "podnet", "count:traffic")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a map of the network was left: %v", err)
			}
			there.remove(t, n)
		})
	}
}

// What a failed Apply made in a network that others use goes again.
func TestFailedApplyTakesItsNodeScopedMapsBack(t *testing.T) {
	testenv.NoLeaks(t)
	n, there, p := Default(), newPod(t, 0), newPod(t, 0)
	there.apply(t, n, filter(t, "filter", listOf("5")))
	p.occupy(t, config.PodSide)
	p.Programs = sharing()
	if err := n.Apply(t.Context(), p.Attachment); err == nil {
		t.Error("no error though the interface is busy")
	}
	if _, err := os.Stat(networkMap(n, "podnet", "count:traffic")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a map of the network was left: %v", err)
	}
	if got := readPinned(t, networkMap(n, "podnet", "filter:list")); got != 5 {
		t.Errorf("the map of others has entry %d, want 5", got)
	}
	there.remove(t, n)
}

func TestStatusMissesPinnedMaps(t *testing.T) {
	testenv.NoLeaks(t)
	n := Default()
	a := resolve.Attachment{Programs: []config.Program{filter(t, "filter", map[string]config.MapSettings{"list": {Pinned: "/sys/fs/bpf/nothing"}})}}
	if err := n.Status(t.Context(), a); !errors.Is(err, object.ErrUnusable) {
		t.Errorf("got %v, want an ErrUnusable", err)
	}
	a.Programs[0].Maps["list"] = config.MapSettings{Pinned: pinList(t, 4)}
	if err := n.Status(t.Context(), a); err != nil {
		t.Error(err)
	}
}
