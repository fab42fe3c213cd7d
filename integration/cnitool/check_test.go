// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

const chainsDir = "/sys/fs/bpf/xdp-chain/chains"

// Each case makes one difference between what ADD made and what CHECK finds, and
// says by what words CHECK must name it.
func TestCheckFindsEachDifference(t *testing.T) {
	tests := []struct {
		name   string
		attach string
		differ func(t *testing.T, p *plugintest.Pod, conf fields)
		words  []string
	}{
		{"chain gone, link", "link", func(t *testing.T, p *plugintest.Pod, _ fields) {
			remove(t, filepath.Join(pinDir(t, p), "link"))
		}, []string{"eth0"}},
		{"chain gone, netlink", "netlink", func(t *testing.T, p *plugintest.Pod, _ fields) {
			setXDP(t, p, nil)
		}, []string{"eth0"}},
		{"replaced by another program", "netlink", func(t *testing.T, p *plugintest.Pod, _ fields) {
			setXDP(t, p, intruder(t))
		}, []string{"intruder"}},
		{"member missing", "link", func(_ *testing.T, _ *plugintest.Pod, conf fields) {
			conf["programs"] = []fields{{"name": "count"}, {"name": "drop"}}
		}, []string{"drop"}},
		{"member too many", "link", func(_ *testing.T, _ *plugintest.Pod, conf fields) {
			conf["programs"] = []fields{}
		}, []string{"configuration has none"}},
		{"priority", "link", func(_ *testing.T, _ *plugintest.Pod, conf fields) {
			conf["programs"] = []fields{{"name": "count", "priority": 7}}
		}, []string{"count", "7"}},
		{"proceedOn", "link", func(_ *testing.T, _ *plugintest.Pod, conf fields) {
			conf["programs"] = []fields{{"name": "count", "proceedOn": []string{"drop"}}}
		}, []string{"count", "drop"}},
		{"counters' pin missing", "link", func(t *testing.T, p *plugintest.Pod, _ fields) {
			remove(t, filepath.Join(pinDir(t, p), "counters"))
		}, []string{"counters"}},
		{"map's pin missing", "link", func(t *testing.T, p *plugintest.Pod, _ fields) {
			remove(t, filepath.Join(pinDir(t, p), "maps/count/traffic"))
		}, []string{"traffic"}},
		{"all pins missing", "netlink", func(t *testing.T, p *plugintest.Pod, _ fields) {
			remove(t, pinDir(t, p))
		}, []string{"counters"}},
		{"interface gone", "link", func(t *testing.T, p *plugintest.Pod, _ fields) {
			unplug(t, p)
		}, []string{"eth0"}},
		{"never added", "link", func(t *testing.T, p *plugintest.Pod, conf fields) {
			p.Must(t, "DEL", conf)
		}, nil},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			testenv.ShardByKernel(t, i)
			testenv.NoLeaks(t)
			p := plugintest.WiredPod(t, 0)
			conf := p.Chained(fields{"attach": tt.attach}, fields{"name": "count"})
			p.Must(t, "ADD", conf)
			t.Cleanup(func() { p.Must(t, "DEL", plugintest.Entry(nil)) })
			p.Must(t, "CHECK", conf)
			tt.differ(t, p, conf)
			_, err := p.Call(t, "CHECK", conf)
			if err == nil {
				t.Fatal("CHECK finds nothing")
			}
			t.Log(plugintest.Describe(err))
			plugintest.WantError(t, "CHECK", err, err.Code, tt.words...)
		})
	}
}

func TestCheckNamesAllDifferencesAtOnce(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	conf := p.Chained(nil, fields{"name": "count"}, fields{"name": "pass", "side": "host"})
	p.Must(t, "ADD", conf)
	remove(t, filepath.Join(pinDir(t, p), "counters"))
	conf["programs"] = append(conf["programs"].([]fields), fields{"name": "drop", "side": "host"})
	_, err := p.Call(t, "CHECK", conf)
	if err == nil {
		t.Fatal("CHECK finds nothing")
	}
	plugintest.WantError(t, "CHECK", err, err.Code, "counters", "drop")
	p.Must(t, "DEL", conf)
}

// pinDir is the folder of the pod's chain on bpffs.
func pinDir(t *testing.T, p *plugintest.Pod) string {
	t.Helper()
	return filepath.Join(chainsDir, p.ChainOn(t, "pod").Key)
}

func remove(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// Records may be lost while chains run. CHECK finds that, and an ADD makes the pod
// whole again.
func TestLostRecords(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	conf := p.Chained(nil, fields{"name": "count"})
	p.Must(t, "ADD", conf)
	remove(t, "/run/xdp-chain")
	if _, err := p.Call(t, "CHECK", conf); err == nil {
		t.Error("CHECK finds nothing")
	}
	p.Must(t, "ADD", conf)
	p.Must(t, "CHECK", conf)
	p.Must(t, "DEL", conf)
}

// intruder is a program of somebody else's.
func intruder(t *testing.T) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "intruder", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// setXDP puts a program on the pod's end by netlink, as anybody in the pod with
// CAP_NET_ADMIN could; nil takes away what is there.
func setXDP(t *testing.T, p *plugintest.Pod, program *ebpf.Program) {
	t.Helper()
	if err := trySetXDP(t, p, program); err != nil {
		t.Fatal(err)
	}
}

func trySetXDP(t *testing.T, p *plugintest.Pod, program *ebpf.Program) (err error) {
	t.Helper()
	fd := -1
	if program != nil {
		fd = program.FD()
	}
	testenv.InNetNS(t, p.NetNS, func() error {
		link, lookup := netlink.LinkByName(p.Ifname)
		if lookup == nil {
			err = netlink.LinkSetXdpFdWithFlags(link, fd, xdpFlagsDriver)
		}
		return lookup
	})
	return err
}

// xdpFlagsDriver is XDP_FLAGS_DRV_MODE, uapi/linux/if_link.h.
const xdpFlagsDriver = 1 << 2

// A pod may be root over its interfaces. It cannot take off a chain that a link
// holds; one put on by netlink it can, and CHECK finds that.
func TestPodCannotRemoveLinkedChain(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	conf := p.Chained(nil, fields{"name": "drop"})
	p.Must(t, "ADD", conf)
	on := p.XDP(t)
	if err := trySetXDP(t, p, nil); err == nil {
		t.Error("the pod took the chain off")
	}
	if err := trySetXDP(t, p, intruder(t)); err == nil {
		t.Error("the pod replaced the chain")
	}
	if p.XDP(t) != on {
		t.Error("the chain is another now")
	}
	p.Must(t, "CHECK", conf)
	p.Must(t, "DEL", conf)
}
