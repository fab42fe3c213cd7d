// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"maps"
	"slices"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// Four pods: two that live, one whose namespace vanished, one whose interface
// did. And a pod of another network. Which are left depends on what the runtime
// says of valid attachments.
func TestGC(t *testing.T) {
	testenv.KernelIndependent(t)
	valid := func(pods ...*plugintest.Pod) []fields {
		attachments := []fields{}
		for _, p := range pods {
			attachments = append(attachments, fields{"containerID": p.ID, "ifname": p.Ifname})
		}
		return attachments
	}
	tests := []struct {
		name   string
		config func(one, two, noNetNS *plugintest.Pod) fields
		kept   []string
	}{
		{"both valid", func(one, two, _ *plugintest.Pod) fields {
			return fields{"cni.dev/valid-attachments": valid(one, two)}
		}, []string{"foreign", "one", "two"}},
		{"one valid", func(one, _, _ *plugintest.Pod) fields {
			return fields{"cni.dev/valid-attachments": valid(one)}
		}, []string{"foreign", "one"}},
		{"dead one valid", func(one, _, noNetNS *plugintest.Pod) fields {
			return fields{"cni.dev/valid-attachments": valid(one, noNetNS)}
		}, []string{"foreign", "one"}},
		{"none valid", func(_, _, _ *plugintest.Pod) fields {
			return fields{"cni.dev/valid-attachments": valid()}
		}, []string{"foreign"}},
		{"other interface of a container valid", func(one, two, _ *plugintest.Pod) fields {
			eth1 := &plugintest.Pod{ID: two.ID, Ifname: "eth1"}
			return fields{"cni.dev/valid-attachments": valid(one, eth1)}
		}, []string{"foreign", "one"}},
		{"null", func(_, _, _ *plugintest.Pod) fields {
			return fields{"cni.dev/valid-attachments": (*int)(nil)}
		}, []string{"foreign", "one", "two"}},
		{"absent", func(_, _, _ *plugintest.Pod) fields { return nil }, []string{"foreign", "one", "two"}},
		{"absent, broken configuration", func(_, _, _ *plugintest.Pod) fields {
			return fields{"side": 7, "nonsense": true}
		}, []string{"foreign", "one", "two"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			one, two, noNetNS, noLink, foreign := plugintest.WiredPod(t, 0), plugintest.WiredPod(t, 0), plugintest.WiredPod(t, 0), plugintest.WiredPod(t, 0), plugintest.WiredPod(t, 0)
			one.ID, two.ID, foreign.ID = "one", "two", "foreign"
			for _, p := range []*plugintest.Pod{one, two, noNetNS, noLink} {
				p.Must(t, "ADD", p.Chained(nil, fields{"name": "count"}))
			}
			foreign.Must(t, "ADD", foreign.Chained(fields{"name": "othernet"}, fields{"name": "count"}))
			noNetNS.Vanish(t)
			unplug(t, noLink)

			collector := &plugintest.Pod{}
			collector.Must(t, "GC", plugintest.Entry(gcFields(tt.config(one, two, noNetNS)), fields{"name": "count"}))
			if diff := cmp.Diff(tt.kept, owners(t)); diff != "" {
				t.Errorf("who has a chain (-want +got):\n%s", diff)
			}
			for _, p := range []*plugintest.Pod{one, two} {
				if has, want := p.XDP(t).Program != 0, slices.Contains(tt.kept, p.ID); has != want {
					t.Errorf("pod %s has a chain on its interface: %t, want %t", p.ID, has, want)
				}
			}
			for _, p := range []*plugintest.Pod{one, two} {
				p.Must(t, "DEL", plugintest.Entry(nil))
			}
			foreign.Must(t, "DEL", plugintest.Entry(fields{"name": "othernet"}))
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
	p := plugintest.WiredPod(t, 0)
	p.Must(t, "ADD", p.Chained(nil, fields{"name": "count"}))
	on := p.XDP(t)
	(&plugintest.Pod{}).Refuse(t, "GC", plugintest.Entry(fields{"cniVersion": "1.1.0", "cni.dev/valid-attachments": "all"}), 7, "valid-attachments")
	if p.XDP(t) != on {
		t.Error("GC touched a chain though it could not tell whose it is")
	}
	p.Must(t, "DEL", plugintest.Entry(nil))
}

// libcni deletes what its cache holds and is not valid, then sends GC.
func TestGCByLibcni(t *testing.T) {
	testenv.ShardByKernel(t, 0)
	testenv.NoLeaks(t)
	r := newLibcni(t, pluginList(t, "ptp", "1.1.0", families[0], ours(nil, fields{"name": "count"})))
	stays, goes := start(t, r), start(t, r)
	if err := r.gc([]types.GCAttachment{{ContainerID: stays.ID, IfName: stays.Ifname}}); err != nil {
		t.Fatal(plugintest.Describe(err))
	}
	if diff := cmp.Diff([]string{stays.ID}, owners(t)); diff != "" {
		t.Errorf("who has a chain, without %s (-want +got):\n%s", goes.ID, diff)
	}
	if err := r.check(stays); err != nil {
		t.Error(plugintest.Describe(err))
	}
	if err := r.gc([]types.GCAttachment{}); err != nil {
		t.Fatal(plugintest.Describe(err))
	}
	if left := owners(t); len(left) != 0 {
		t.Errorf("after GC with nothing valid %v have a chain", left)
	}
}

// containerd calls no GC: an ADD of any pod also takes away chains whose
// interfaces are gone.
func TestAddSweepsTheDead(t *testing.T) {
	testenv.NoLeaks(t)
	dead, live := plugintest.WiredPod(t, 0), plugintest.WiredPod(t, 0)
	dead.Must(t, "ADD", dead.Chained(nil, fields{"name": "count"}))
	dead.Vanish(t)
	live.Must(t, "ADD", live.Chained(nil, fields{"name": "count"}))
	if diff := cmp.Diff([]string{live.ID}, owners(t)); diff != "" {
		t.Errorf("who has a chain (-want +got):\n%s", diff)
	}
	live.Must(t, "DEL", plugintest.Entry(nil))
}

// owners lists the containers that have a chain, sorted.
func owners(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, c := range plugintest.Chains(t) {
		for _, o := range c.Owners {
			ids = append(ids, o.ContainerID)
		}
	}
	slices.Sort(ids)
	return ids
}

// unplug deletes the pod's interface.
func unplug(t *testing.T, p *plugintest.Pod) {
	t.Helper()
	p.Inside(t, func(h *netlink.Handle) error {
		link, err := h.LinkByName(p.Ifname)
		if err != nil {
			return err
		}
		return h.LinkDel(link)
	})
}
