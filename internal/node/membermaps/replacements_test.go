// SPDX-License-Identifier: Apache-2.0

package membermaps_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// filter is a program with maps of many kinds: "list" is an array of 4, and "names"
// is declared LIBBPF_PIN_BY_NAME.
func filter(t *testing.T, name string, maps map[string]config.MapSettings) config.Program {
	t.Helper()
	return config.Program{Name: name, Object: nodetest.Objects(t, "maps.o"), Maps: maps}
}

// listOf makes "list" the network's, with one entry.
func listOf(value string) map[string]config.MapSettings {
	return map[string]config.MapSettings{"list": {
		Scope:   config.ScopeNode,
		Entries: []config.MapEntry{{Key: json.RawMessage("2"), Value: json.RawMessage(value)}},
	}}
}

func networkMap(n *node.Node, network, name string) string {
	return filepath.Join(n.BPFFS.Root, "xdp-chain/node", network, name)
}

func TestPodsOfANetworkShareNodeScopedMaps(t *testing.T) {
	testenv.NoLeaks(t)
	n, first, second, other := node.Default(), nodetest.NewPod(t, 0), nodetest.NewPod(t, 0), nodetest.NewPod(t, 0)
	other.Network = "other.net"
	for i, p := range []*nodetest.Pod{first, second, other} {
		p.Apply(t, n, nodetest.Sharing()...)
		p.Send(t, n, i+1)
	}
	shared, others := networkMap(n, "podnet", "count:traffic"), networkMap(n, "other:net", "count:traffic")
	if got := nodetest.SumPinned(t, shared); got != 3 {
		t.Errorf("the network's map says %d packets, want 3", got)
	}
	if got := nodetest.SumPinned(t, others); got != 3 {
		t.Errorf("the other network's map says %d packets, want 3", got)
	}
	first.Remove(t, n)
	second.Send(t, n, 1)
	if got := nodetest.SumPinned(t, shared); got != 4 {
		t.Errorf("without the first pod the network's map says %d packets, want 4", got)
	}
	second.Remove(t, n)
	if _, err := os.Stat(filepath.Dir(shared)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the maps of a network without pods: %v", err)
	}
	other.Remove(t, n)
}

// A pod's configuration puts its entries into the network's map. A chain that is
// built again for other reasons does not put its old ones back.
func TestEntriesOfNodeScopedMaps(t *testing.T) {
	testenv.NoLeaks(t)
	n, older, younger := node.Default(), nodetest.NewPod(t, 0), nodetest.NewPod(t, 0)
	list := networkMap(n, "podnet", "filter:list")
	expect := func(when string, want uint64) {
		t.Helper()
		if got := nodetest.PinnedEntry(t, list, 2); got != want {
			t.Errorf("%s the entry is %d, want %d", when, got, want)
		}
	}
	older.Apply(t, n, filter(t, "filter", listOf("5")))
	expect("first", 5)
	younger.Apply(t, n, filter(t, "filter", listOf("7")))
	expect("after a pod with another value", 7)
	guest := *older
	guest.Network = "guests"
	guest.Apply(t, n, nodetest.Programs("pass")...)
	guest.Remove(t, n)
	expect("after the older chain was built again", 7)
	older.Check(t, n)
	older.Apply(t, n, filter(t, "filter", listOf("9")))
	expect("after a change of the older pod", 9)
	older.Remove(t, n)
	younger.Remove(t, n)
}

func TestMapsPinnedByNameAreSharedByPrograms(t *testing.T) {
	testenv.NoLeaks(t)
	n, p, other := node.Default(), nodetest.NewPod(t, 0), nodetest.NewPod(t, 0)
	p.Apply(t, n, filter(t, "a", nil), filter(t, "b", map[string]config.MapSettings{"list": {Scope: config.ScopeNode}}))
	other.Apply(t, n, filter(t, "c", nil))
	want := nodetest.PinnedID(t, networkMap(n, "podnet", "names"))
	for _, path := range []string{p.Folder(t, n) + "/maps/a/names", p.Folder(t, n) + "/maps/b/names", other.Folder(t, n) + "/maps/c/names"} {
		if got := nodetest.PinnedID(t, path); got != want {
			t.Errorf("%s is map %d, the network's is %d", path, got, want)
		}
	}
	if a, b := nodetest.PinnedID(t, p.Folder(t, n)+"/maps/a/list"), nodetest.PinnedID(t, p.Folder(t, n)+"/maps/b/list"); a == b {
		t.Errorf("both have map %d as their list", a)
	}
	p.Remove(t, n)
	other.Remove(t, n)
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
	n, p := node.Default(), nodetest.NewPod(t, 0)
	path := pinList(t, 4)
	guest := *p
	guest.Network = "guests"
	p.Apply(t, n, filter(t, "filter", map[string]config.MapSettings{"list": {Pinned: path}}))
	if got, want := nodetest.PinnedID(t, p.Folder(t, n)+"/maps/filter/list"), nodetest.PinnedID(t, path); got != want {
		t.Errorf("the chain has map %d, pinned is %d", got, want)
	}
	// Who built it again for a guest needs the pin no more.
	want := nodetest.PinnedID(t, path)
	if err := os.Rename(path, path+"-away"); err != nil {
		t.Fatal(err)
	}
	guest.Apply(t, n, nodetest.Programs("pass")...)
	guest.Remove(t, n)
	if err := os.Rename(path+"-away", path); err != nil {
		t.Fatal(err)
	}
	if got := nodetest.PinnedID(t, p.Folder(t, n)+"/maps/filter/list"); got != want {
		t.Errorf("built again the chain has map %d, pinned is %d", got, want)
	}
	p.Check(t, n)
	p.Remove(t, n)
	if got := nodetest.PinnedID(t, path); got != want {
		t.Errorf("after the chain is gone %s is map %d, was %d", path, got, want)
	}
}

// Each of these is refused with a word about the map, and neither makes maps of the
// network nor changes those there are.
func TestMapsThatCannotBeGiven(t *testing.T) {
	testenv.ShardByKernel(t, 0)
	n := node.Default()
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
			there, p := nodetest.NewPod(t, 0), nodetest.NewPod(t, 0)
			there.Apply(t, n, filter(t, "filter", listOf("5")))
			p.Programs = append(nodetest.Sharing(), filter(t, "filter", tt.maps(t)))
			err := n.Apply(t.Context(), p.Attachment)
			if !errors.Is(err, object.ErrUnusable) && !errors.Is(err, dispatcher.ErrMapRefused) {
				t.Fatalf("got %v, want an ErrUnusable or an ErrMapRefused", err)
			}
			nodetest.WantWords(t, fmt.Sprint(err), tt.says...)
			if _, err := os.Stat(networkMap(n, "podnet", "count:traffic")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a map of the network was left: %v", err)
			}
			there.Remove(t, n)
		})
	}
}

// What a failed Apply made in a network that others use goes again.
func TestFailedApplyTakesItsNodeScopedMapsBack(t *testing.T) {
	testenv.NoLeaks(t)
	n, there, p := node.Default(), nodetest.NewPod(t, 0), nodetest.NewPod(t, 0)
	there.Apply(t, n, filter(t, "filter", listOf("5")))
	p.Occupy(t, config.PodSide)
	p.Programs = nodetest.Sharing()
	if err := n.Apply(t.Context(), p.Attachment); err == nil {
		t.Error("no error though the interface is busy")
	}
	if _, err := os.Stat(networkMap(n, "podnet", "count:traffic")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a map of the network was left: %v", err)
	}
	if got := nodetest.PinnedEntry(t, networkMap(n, "podnet", "filter:list"), 2); got != 5 {
		t.Errorf("the map of others has entry %d, want 5", got)
	}
	there.Remove(t, n)
}

func TestStatusMissesPinnedMaps(t *testing.T) {
	testenv.NoLeaks(t)
	n := node.Default()
	a := resolve.Attachment{Programs: []config.Program{filter(t, "filter", map[string]config.MapSettings{"list": {Pinned: "/sys/fs/bpf/nothing"}})}}
	if err := n.Status(t.Context(), a); !errors.Is(err, object.ErrUnusable) {
		t.Errorf("got %v, want an ErrUnusable", err)
	}
	a.Programs[0].Maps["list"] = config.MapSettings{Pinned: pinList(t, 4)}
	if err := n.Status(t.Context(), a); err != nil {
		t.Error(err)
	}
}
