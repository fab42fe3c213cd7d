// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"maps"
	"slices"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// Four pods: two that live, one whose namespace vanished, one whose interface
// did. And a pod of another network. Which are left depends on what the runtime
// says of valid attachments.
func TestGC(t *testing.T) {
	valid := func(pods ...*pod) []fields {
		attachments := []fields{}
		for _, p := range pods {
			attachments = append(attachments, fields{"containerID": p.id, "ifname": p.ifname})
		}
		return attachments
	}
	tests := []struct {
		name   string
		config func(one, two, noNetNS *pod) fields
		kept   []string
	}{
		{"both valid", func(one, two, _ *pod) fields {
			return fields{"cni.dev/valid-attachments": valid(one, two)}
		}, []string{"foreign", "one", "two"}},
		{"one valid", func(one, _, _ *pod) fields {
			return fields{"cni.dev/valid-attachments": valid(one)}
		}, []string{"foreign", "one"}},
		{"dead one valid", func(one, _, noNetNS *pod) fields {
			return fields{"cni.dev/valid-attachments": valid(one, noNetNS)}
		}, []string{"foreign", "one"}},
		{"none valid", func(_, _, _ *pod) fields {
			return fields{"cni.dev/valid-attachments": valid()}
		}, []string{"foreign"}},
		{"other interface of a container valid", func(one, two, _ *pod) fields {
			eth1 := &pod{id: two.id, ifname: "eth1"}
			return fields{"cni.dev/valid-attachments": valid(one, eth1)}
		}, []string{"foreign", "one"}},
		{"null", func(_, _, _ *pod) fields {
			return fields{"cni.dev/valid-attachments": (*int)(nil)}
		}, []string{"foreign", "one", "two"}},
		{"absent", func(_, _, _ *pod) fields { return nil }, []string{"foreign", "one", "two"}},
		{"absent, broken configuration", func(_, _, _ *pod) fields {
			return fields{"side": 7, "nonsense": true}
		}, []string{"foreign", "one", "two"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			one, two, noNetNS, noLink, foreign := wiredPod(t, 0), wiredPod(t, 0), wiredPod(t, 0), wiredPod(t, 0), wiredPod(t, 0)
			one.id, two.id, foreign.id = "one", "two", "foreign"
			for _, p := range []*pod{one, two, noNetNS, noLink} {
				p.must(t, "ADD", p.chained(nil, fields{"name": "count"}))
			}
			foreign.must(t, "ADD", foreign.chained(fields{"name": "othernet"}, fields{"name": "count"}))
			noNetNS.vanish(t)
			noLink.unplug(t)

			collector := &pod{}
			collector.must(t, "GC", entry(gcFields(tt.config(one, two, noNetNS)), fields{"name": "count"}))
			if diff := cmp.Diff(tt.kept, owners(t)); diff != "" {
				t.Errorf("who has a chain (-want +got):\n%s", diff)
			}
			for _, p := range []*pod{one, two} {
				if has, want := p.podXDP(t).program != 0, slices.Contains(tt.kept, p.id); has != want {
					t.Errorf("pod %s has a chain on its interface: %t, want %t", p.id, has, want)
				}
			}
			for _, p := range []*pod{one, two} {
				p.must(t, "DEL", entry(nil))
			}
			foreign.must(t, "DEL", entry(fields{"name": "othernet"}))
		})
	}
}

// gcFields adds the version in which GC came.
func gcFields(more fields) fields {
	f := fields{"cniVersion": "1.1.0"}
	maps.Copy(f, more)
	return f
}

func TestGCRefusesUnreadableList(t *testing.T) {
	testenv.NoLeaks(t)
	p := wiredPod(t, 0)
	p.must(t, "ADD", p.chained(nil, fields{"name": "count"}))
	on := p.podXDP(t)
	(&pod{}).refuse(t, "GC", entry(fields{"cniVersion": "1.1.0", "cni.dev/valid-attachments": "all"}), 7, "valid-attachments")
	if p.podXDP(t) != on {
		t.Error("GC touched a chain though it could not tell whose it is")
	}
	p.must(t, "DEL", entry(nil))
}

// libcni deletes what its cache holds and is not valid, then sends GC.
func TestGCByLibcni(t *testing.T) {
	testenv.NoLeaks(t)
	r := newLibcni(t, pluginList(t, "ptp", "1.1.0", families[0], ours(nil, fields{"name": "count"})))
	stays, goes := start(t, r), start(t, r)
	if err := r.gc([]types.GCAttachment{{ContainerID: stays.id, IfName: stays.ifname}}); err != nil {
		t.Fatal(describe(err))
	}
	if diff := cmp.Diff([]string{stays.id}, owners(t)); diff != "" {
		t.Errorf("who has a chain, without %s (-want +got):\n%s", goes.id, diff)
	}
	if err := r.check(stays); err != nil {
		t.Error(describe(err))
	}
	if err := r.gc([]types.GCAttachment{}); err != nil {
		t.Fatal(describe(err))
	}
	if left := owners(t); len(left) != 0 {
		t.Errorf("after GC with nothing valid %v have a chain", left)
	}
}

// containerd calls no GC: an ADD of any pod also takes away chains whose
// interfaces are gone.
func TestAddSweepsTheDead(t *testing.T) {
	testenv.NoLeaks(t)
	dead, live := wiredPod(t, 0), wiredPod(t, 0)
	dead.must(t, "ADD", dead.chained(nil, fields{"name": "count"}))
	dead.vanish(t)
	live.must(t, "ADD", live.chained(nil, fields{"name": "count"}))
	if diff := cmp.Diff([]string{live.id}, owners(t)); diff != "" {
		t.Errorf("who has a chain (-want +got):\n%s", diff)
	}
	live.must(t, "DEL", entry(nil))
}

// owners lists the containers that have a chain, sorted.
func owners(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, c := range chains(t) {
		for _, o := range c.Owners {
			ids = append(ids, o.ContainerID)
		}
	}
	slices.Sort(ids)
	return ids
}

// unplug deletes the pod's interface.
func (p *pod) unplug(t *testing.T) {
	t.Helper()
	p.inside(t, func(h *netlink.Handle) error {
		link, err := h.LinkByName(p.ifname)
		if err != nil {
			return err
		}
		return h.LinkDel(link)
	})
}
