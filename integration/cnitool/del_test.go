// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"os"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// What runtimes, admins and crashes make of DEL. Each case gets a pod with a
// chain on both sides; afterwards nothing of it may be there.
func TestDel(t *testing.T) {
	tests := []struct {
		name string
		del  func(t *testing.T, p *pod, conf fields)
	}{
		{"once", func(t *testing.T, p *pod, conf fields) { p.must(t, "DEL", conf) }},
		{"three times", func(t *testing.T, p *pod, conf fields) {
			p.must(t, "DEL", conf)
			delete(conf, "prevResult")
			p.netns = ""
			p.must(t, "DEL", conf)
			p.must(t, "DEL", conf)
		}},
		{"empty netns", func(t *testing.T, p *pod, conf fields) {
			p.netns = ""
			p.must(t, "DEL", conf)
		}},
		{"netns vanished", func(t *testing.T, p *pod, conf fields) {
			testenv.RemoveNetNS(t, p.netns)
			p.must(t, "DEL", conf)
		}},
		{"netns vanished and empty", func(t *testing.T, p *pod, conf fields) {
			testenv.RemoveNetNS(t, p.netns)
			p.netns = ""
			p.must(t, "DEL", conf)
		}},
		{"netns path is a plain file now", func(t *testing.T, p *pod, conf fields) {
			testenv.RemoveNetNS(t, p.netns)
			if err := os.WriteFile(p.netns, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Remove(p.netns) })
			p.must(t, "DEL", conf)
		}},
		{"netns path is another pod's now", func(t *testing.T, p *pod, conf fields) {
			other := wiredPod(t, 0)
			other.must(t, "ADD", other.chained(nil, fields{"name": "pass"}))
			on := other.podXDP(t)
			testenv.RemoveNetNS(t, p.netns)
			p.netns = other.netns
			p.must(t, "DEL", conf)
			if other.podXDP(t) != on {
				t.Error("the other pod's chain was touched")
			}
			other.must(t, "DEL", entry(nil))
		}},
		{"interface gone", func(t *testing.T, p *pod, conf fields) {
			p.unplug(t)
			p.must(t, "DEL", conf)
		}},
		{"no prevResult", func(t *testing.T, p *pod, conf fields) {
			delete(conf, "prevResult")
			p.must(t, "DEL", conf)
		}},
		{"prevResult of nonsense", func(t *testing.T, p *pod, conf fields) {
			conf["prevResult"] = fields{"cniVersion": "1.0.0", "interfaces": "none"}
			p.must(t, "DEL", conf)
		}},
		{"other programs", func(t *testing.T, p *pod, conf fields) {
			conf["programs"] = []fields{{"name": "drop"}}
			p.must(t, "DEL", conf)
		}},
		{"no programs", func(t *testing.T, p *pod, conf fields) {
			delete(conf, "programs")
			p.must(t, "DEL", conf)
		}},
		{"object gone", func(t *testing.T, p *pod, conf fields) {
			conf["programs"] = []fields{{"name": "gone", "object": "/nowhere/gone.o"}}
			p.must(t, "DEL", conf)
		}},
		{"broken configuration", func(t *testing.T, p *pod, conf fields) {
			conf["programs"], conf["side"], conf["dispatcher"] = "none", 7, []string{}
			conf["namespaces"], conf["logLevel"], conf["nonsense"] = 1, 2, 3
			p.must(t, "DEL", conf)
		}},
		{"namespace excluded since", func(t *testing.T, p *pod, conf fields) {
			conf["namespaces"] = fields{"exclude": []string{"shop"}}
			p.must(t, "DEL", conf)
		}},
		{"broken CNI_ARGS", func(t *testing.T, p *pod, conf fields) {
			p.args = "nonsense"
			p.must(t, "DEL", conf)
		}},
		{"store gone", func(t *testing.T, p *pod, conf fields) {
			if err := os.RemoveAll("/var/lib/xdp-chain"); err != nil {
				t.Fatal(err)
			}
			p.must(t, "DEL", conf)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := wiredPod(t, 0)
			conf := p.chained(nil, fields{"name": "count"}, closing(60), fields{"name": "pass", "side": "host"})
			p.must(t, "ADD", conf)
			tt.del(t, p, conf)
			if left := chains(t); len(left) != 0 {
				t.Errorf("listed after DEL: %+v", left)
			}
		})
	}
}

func TestDelWithoutAdd(t *testing.T) {
	testenv.NoLeaks(t)
	p := wiredPod(t, 0)
	p.must(t, "DEL", entry(nil, fields{"name": "pass"}))
	p.netns = ""
	p.must(t, "DEL", entry(nil))
	p.netns = "/run/netns/never-was"
	p.must(t, "DEL", entry(nil))
}

// DEL is about its own container and interface and network, and about no other.
func TestDelLeavesOthersAlone(t *testing.T) {
	testenv.NoLeaks(t)
	p := wiredPod(t, 0)
	conf := p.chained(nil, fields{"name": "pass"})
	p.must(t, "ADD", conf)
	on := p.podXDP(t)
	for name, other := range map[string]struct {
		pod  pod
		conf fields
	}{
		"container": {pod{id: "other", netns: p.netns, ifname: p.ifname}, entry(nil)},
		"interface": {pod{id: p.id, netns: p.netns, ifname: "eth1"}, entry(nil)},
		"network":   {*p, entry(fields{"name": "othernet"})},
	} {
		other.pod.must(t, "DEL", other.conf)
		if p.podXDP(t) != on {
			t.Fatalf("DEL of another %s took the chain away", name)
		}
	}
	p.must(t, "CHECK", conf)
	p.must(t, "DEL", conf)
}

// An earlier plugin fails, and the runtime sends DEL to all: ours has had no ADD.
func TestDelAfterEarlierPluginFailed(t *testing.T) {
	testenv.NoLeaks(t)
	f := families[0]
	list := pluginList(t, "ptp", "1.1.0", f, ours(nil, fields{"name": "pass"}))
	list["plugins"].([]fields)[0]["ipam"] = fields{"type": "host-local", "subnet": "nonsense", "dataDir": t.TempDir()}
	r := newLibcni(t, list)
	p := newPod(t)
	if err := r.add(p); err == nil {
		t.Fatal("ADD worked with a subnet of nonsense")
	}
	conf := entry(fields{"cniVersion": "1.1.0"}, fields{"name": "pass"})
	p.must(t, "DEL", conf)
}

// libcni keeps the result of ADD and hands it to DEL, with whatever the
// configuration has become.
func TestDelFromCacheWithChangedConfiguration(t *testing.T) {
	for name, changed := range map[string]fields{
		"other chain":  ours(nil, fields{"name": "drop"}),
		"object gone":  ours(nil, fields{"name": "gone", "object": "/nowhere/gone.o"}),
		"wrong types":  ours(fields{"side": 7, "mode": []int{}, "programs": "none"}),
		"other fields": ours(fields{"nonsense": true}),
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			f := families[0]
			list := pluginList(t, "ptp", "1.1.0", f, ours(nil, fields{"name": "count"}))
			r := newLibcni(t, list)
			p := start(t, r)
			list["plugins"].([]fields)[1] = changed
			r.configure(t, list)
			if err := r.del(p); err != nil {
				t.Errorf("DEL: %s", describe(err))
			}
			if left := chains(t); len(left) != 0 {
				t.Errorf("listed after DEL: %+v", left)
			}
		})
	}
}
