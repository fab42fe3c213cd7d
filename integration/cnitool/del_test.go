// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"os"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// What runtimes, admins and crashes make of DEL. Each case gets a pod with a
// chain on both sides; afterwards nothing of it may be there.
func TestDel(t *testing.T) {
	tests := []struct {
		name string
		del  func(t *testing.T, p *plugintest.Pod, conf fields)
	}{
		{"once", func(t *testing.T, p *plugintest.Pod, conf fields) { p.Must(t, "DEL", conf) }},
		{"three times", func(t *testing.T, p *plugintest.Pod, conf fields) {
			p.Must(t, "DEL", conf)
			delete(conf, "prevResult")
			p.NetNS = ""
			p.Must(t, "DEL", conf)
			p.Must(t, "DEL", conf)
		}},
		{"empty netns", func(t *testing.T, p *plugintest.Pod, conf fields) {
			p.NetNS = ""
			p.Must(t, "DEL", conf)
		}},
		{"netns vanished", func(t *testing.T, p *plugintest.Pod, conf fields) {
			testenv.RemoveNetNS(t, p.NetNS)
			p.Must(t, "DEL", conf)
		}},
		{"netns vanished and empty", func(t *testing.T, p *plugintest.Pod, conf fields) {
			testenv.RemoveNetNS(t, p.NetNS)
			p.NetNS = ""
			p.Must(t, "DEL", conf)
		}},
		{"netns path is a plain file now", func(t *testing.T, p *plugintest.Pod, conf fields) {
			testenv.RemoveNetNS(t, p.NetNS)
			if err := os.WriteFile(p.NetNS, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Remove(p.NetNS) })
			p.Must(t, "DEL", conf)
		}},
		{"netns path is another pod's now", func(t *testing.T, p *plugintest.Pod, conf fields) {
			other := plugintest.WiredPod(t, 0)
			other.Must(t, "ADD", other.Chained(nil, fields{"name": "pass"}))
			on := other.XDP(t)
			testenv.RemoveNetNS(t, p.NetNS)
			p.NetNS = other.NetNS
			p.Must(t, "DEL", conf)
			if other.XDP(t) != on {
				t.Error("the other pod's chain was touched")
			}
			other.Must(t, "DEL", plugintest.Entry(nil))
		}},
		{"interface gone", func(t *testing.T, p *plugintest.Pod, conf fields) {
			unplug(t, p)
			p.Must(t, "DEL", conf)
		}},
		{"no prevResult", func(t *testing.T, p *plugintest.Pod, conf fields) {
			delete(conf, "prevResult")
			p.Must(t, "DEL", conf)
		}},
		{"prevResult of nonsense", func(t *testing.T, p *plugintest.Pod, conf fields) {
			conf["prevResult"] = fields{"cniVersion": "1.0.0", "interfaces": "none"}
			p.Must(t, "DEL", conf)
		}},
		{"other programs", func(t *testing.T, p *plugintest.Pod, conf fields) {
			conf["programs"] = []fields{{"name": "drop"}}
			p.Must(t, "DEL", conf)
		}},
		{"no programs", func(t *testing.T, p *plugintest.Pod, conf fields) {
			delete(conf, "programs")
			p.Must(t, "DEL", conf)
		}},
		{"object gone", func(t *testing.T, p *plugintest.Pod, conf fields) {
			conf["programs"] = []fields{{"name": "gone", "object": "/nowhere/gone.o"}}
			p.Must(t, "DEL", conf)
		}},
		{"broken configuration", func(t *testing.T, p *plugintest.Pod, conf fields) {
			conf["programs"], conf["side"], conf["dispatcher"] = "none", 7, []string{}
			conf["namespaces"], conf["logLevel"], conf["nonsense"] = 1, 2, 3
			p.Must(t, "DEL", conf)
		}},
		{"namespace excluded since", func(t *testing.T, p *plugintest.Pod, conf fields) {
			conf["namespaces"] = fields{"exclude": []string{"shop"}}
			p.Must(t, "DEL", conf)
		}},
		{"broken CNI_ARGS", func(t *testing.T, p *plugintest.Pod, conf fields) {
			p.Args = "nonsense"
			p.Must(t, "DEL", conf)
		}},
		{"store gone", func(t *testing.T, p *plugintest.Pod, conf fields) {
			if err := os.RemoveAll("/var/lib/xdp-chain"); err != nil {
				t.Fatal(err)
			}
			p.Must(t, "DEL", conf)
		}},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			testenv.ShardByKernel(t, i)
			testenv.NoLeaks(t)
			p := plugintest.WiredPod(t, 0)
			conf := p.Chained(nil, fields{"name": "count"}, closing(60), fields{"name": "pass", "side": "host"})
			p.Must(t, "ADD", conf)
			tt.del(t, p, conf)
			if left := plugintest.Chains(t); len(left) != 0 {
				t.Errorf("listed after DEL: %+v", left)
			}
		})
	}
}

func TestDelWithoutAdd(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	p.Must(t, "DEL", plugintest.Entry(nil, fields{"name": "pass"}))
	p.NetNS = ""
	p.Must(t, "DEL", plugintest.Entry(nil))
	p.NetNS = "/run/netns/never-was"
	p.Must(t, "DEL", plugintest.Entry(nil))
}

// DEL is about its own container and interface and network, and about no other.
func TestDelLeavesOthersAlone(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	conf := p.Chained(nil, fields{"name": "pass"})
	p.Must(t, "ADD", conf)
	on := p.XDP(t)
	for name, other := range map[string]struct {
		pod  plugintest.Pod
		conf fields
	}{
		"container": {plugintest.Pod{ID: "other", NetNS: p.NetNS, Ifname: p.Ifname}, plugintest.Entry(nil)},
		"interface": {plugintest.Pod{ID: p.ID, NetNS: p.NetNS, Ifname: "eth1"}, plugintest.Entry(nil)},
		"network":   {*p, plugintest.Entry(fields{"name": "othernet"})},
	} {
		other.pod.Must(t, "DEL", other.conf)
		if p.XDP(t) != on {
			t.Fatalf("DEL of another %s took the chain away", name)
		}
	}
	p.Must(t, "CHECK", conf)
	p.Must(t, "DEL", conf)
}

// An earlier plugin fails, and the runtime sends DEL to all: ours has had no ADD.
func TestDelAfterEarlierPluginFailed(t *testing.T) {
	testenv.NoLeaks(t)
	f := families[0]
	list := pluginList(t, "ptp", "1.1.0", f, ours(nil, fields{"name": "pass"}))
	list["plugins"].([]fields)[0]["ipam"] = fields{"type": "host-local", "subnet": "nonsense", "dataDir": t.TempDir()}
	r := newLibcni(t, list)
	p := plugintest.NewPod(t)
	if err := r.add(p); err == nil {
		t.Fatal("ADD worked with a subnet of nonsense")
	}
	conf := plugintest.Entry(fields{"cniVersion": "1.1.0"}, fields{"name": "pass"})
	p.Must(t, "DEL", conf)
}

// libcni keeps the result of ADD and hands it to DEL, with whatever the
// configuration has become.
func TestDelFromCacheWithChangedConfiguration(t *testing.T) {
	testenv.KernelIndependent(t)
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
				t.Errorf("DEL: %s", plugintest.Describe(err))
			}
			if left := plugintest.Chains(t); len(left) != 0 {
				t.Errorf("listed after DEL: %+v", left)
			}
		})
	}
}
